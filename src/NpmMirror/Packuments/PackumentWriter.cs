using System.Buffers;

namespace NpmMirror.Packuments;

/// <summary>The two forms of a packument that clients ask for.</summary>
internal enum PackumentForm
{
    /// <summary><c>application/json</c>: everything the upstream sent.</summary>
    Full,

    /// <summary><c>application/vnd.npm.install-v1+json</c>: the members that an install needs.</summary>
    Abbreviated,
}

/// <summary>Writes clients' documents by copying slices of the upstream's bytes; only the two URLs of each version are replaced.</summary>
internal static class PackumentWriter
{
    /// <summary>The version of this class's output: part of every ETag, raised when the output changes.</summary>
    public const int RendererVersion = 2;

    /// <summary>Writes a whole document.</summary>
    /// <param name="form">Full or abbreviated.</param>
    /// <param name="index">The document's index.</param>
    /// <param name="document">The document's raw bytes.</param>
    /// <param name="baseUrl">The registry's public address without a trailing slash.</param>
    /// <param name="name">The package.</param>
    /// <param name="output">Where to write.</param>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: the index is of another document.</exception>
    public static void Write(PackumentForm form, PackumentIndex index, ReadOnlySpan<byte> document, PackageName name, string baseUrl, IBufferWriter<byte> output)
    {
        if (index.DocumentSizeBytes != 0 && index.DocumentSizeBytes != document.Length)
        {
            throw new MirrorException(MirrorFault.StoreDamaged, $"The stored index of {name} is of a document of {index.DocumentSizeBytes:N0} bytes, the stored document has {document.Length:N0}; fetch the package again.");
        }

        var urls = new UrlWriter(baseUrl, name);
        if (form == PackumentForm.Full)
        {
            WriteFull(index, document, urls, output);
        }
        else
        {
            AbbreviatedWriter.Write(index, document, urls, output);
        }
    }

    /// <summary>Writes one full manifest.</summary>
    public static void WriteManifest(VersionEntry version, ReadOnlySpan<byte> document, PackageName name, string baseUrl, IBufferWriter<byte> output) =>
        Copy(document, version.Manifest, version, new UrlWriter(baseUrl, name), output);

    /// <summary>Copies a part of a version's manifest with the URLs in it replaced.</summary>
    internal static void Copy(ReadOnlySpan<byte> document, Slice part, in VersionEntry version, UrlWriter urls, IBufferWriter<byte> output)
    {
        var end = part.Offset + part.Length;
        var at = part.Offset;
        var isTarballFirst = version.TarballUrl.Offset < version.AttestationsUrl.Offset;
        if (isTarballFirst)
        {
            at = CopyTarballUrl(document, at, end, version, urls, output);
            at = CopyAttestationsUrl(document, at, end, version, urls, output);
        }
        else
        {
            at = CopyAttestationsUrl(document, at, end, version, urls, output);
            at = CopyTarballUrl(document, at, end, version, urls, output);
        }

        output.Write(document[at..end]);
    }

    private static void WriteFull(PackumentIndex index, ReadOnlySpan<byte> document, UrlWriter urls, IBufferWriter<byte> output)
    {
        // Clients do not expect a byte order mark; JSON.parse refuses it.
        var at = PackumentReader.OriginOf(document);
        foreach (var replaced in ReplacedUrls(index))
        {
            output.Write(document[at..replaced.Url.Offset]);
            replaced.Write(urls, output);
            at = replaced.Url.Offset + replaced.Url.Length;
        }

        output.Write(document[at..]);
    }

    /// <summary>The places of a whole document where an address of this mirror takes the place of upstream's, in document order. All else is copied.</summary>
    internal static IEnumerable<ReplacedUrl> ReplacedUrls(PackumentIndex index)
    {
        foreach (var version in InDocumentOrder(index.Versions))
        {
            var (at, end) = (version.Manifest.Offset, version.Manifest.Offset + version.Manifest.Length);
            var tarball = new ReplacedUrl(version.TarballUrl, version.Version, IsTarball: true);
            var attestations = new ReplacedUrl(version.AttestationsUrl, version.Version, IsTarball: false);
            var (first, second) = tarball.Url.Offset < attestations.Url.Offset ? (tarball, attestations) : (attestations, tarball);
            if (IsWithin(first.Url, at, end))
            {
                yield return first;
                at = first.Url.Offset + first.Url.Length;
            }

            if (IsWithin(second.Url, at, end))
            {
                yield return second;
            }
        }
    }

    // The index has a repeated version at its first place, with its last manifest.
    private static IEnumerable<VersionEntry> InDocumentOrder(IReadOnlyList<VersionEntry> versions)
    {
        for (var i = 1; i < versions.Count; i++)
        {
            if (versions[i].Manifest.Offset < versions[i - 1].Manifest.Offset)
            {
                return versions.OrderBy(version => version.Manifest.Offset);
            }
        }

        return versions;
    }

    private static int CopyTarballUrl(ReadOnlySpan<byte> document, int at, int end, in VersionEntry version, UrlWriter urls, IBufferWriter<byte> output)
    {
        if (!IsWithin(version.TarballUrl, at, end))
        {
            return at;
        }

        output.Write(document[at..version.TarballUrl.Offset]);
        urls.WriteTarballUrl(version.Version, output);
        return version.TarballUrl.Offset + version.TarballUrl.Length;
    }

    private static int CopyAttestationsUrl(ReadOnlySpan<byte> document, int at, int end, in VersionEntry version, UrlWriter urls, IBufferWriter<byte> output)
    {
        if (!IsWithin(version.AttestationsUrl, at, end))
        {
            return at;
        }

        output.Write(document[at..version.AttestationsUrl.Offset]);
        urls.WriteAttestationsUrl(version.Version, output);
        return version.AttestationsUrl.Offset + version.AttestationsUrl.Length;
    }

    private static bool IsWithin(Slice url, int start, int end) => !url.IsEmpty && url.Offset >= start && url.Offset + url.Length <= end;
}

/// <summary>One address of upstream's that is replaced, quotes included.</summary>
internal readonly record struct ReplacedUrl(Slice Url, string Version, bool IsTarball)
{
    /// <summary>Writes its replacement.</summary>
    public void Write(UrlWriter urls, IBufferWriter<byte> output)
    {
        if (IsTarball)
        {
            urls.WriteTarballUrl(Version, output);
        }
        else
        {
            urls.WriteAttestationsUrl(Version, output);
        }
    }
}
