using System.Security.Cryptography;

namespace NpmMirror.Packuments;

/// <summary>What the bytes of a tarball must be, as a manifest promises it.</summary>
/// <param name="Integrity"><c>dist.integrity</c> (SRI; may hold several hashes), or null.</param>
/// <param name="Shasum"><c>dist.shasum</c> (hex SHA-1), or null.</param>
public sealed record TarballPromise(string? Integrity, string? Shasum)
{
    /// <summary>The SHA-512 that right bytes have; empty where none is promised, or several are.</summary>
    public Digest Sha512
    {
        get
        {
            const string Prefix = "sha512-";
            Span<byte> bytes = stackalloc byte[SHA512.HashSizeInBytes];
            return Integrity is not null
                && Integrity.StartsWith(Prefix, StringComparison.Ordinal)
                && Convert.TryFromBase64String(Integrity[Prefix.Length..], bytes, out var written)
                && written == bytes.Length
                ? new Digest(bytes)
                : default;
        }
    }
}

/// <summary>Values read from a manifest's slice when they are needed.</summary>
public static class Manifest
{
    /// <summary>The text of <c>dist.tarball</c>, or null.</summary>
    public static string? TarballUrl(VersionEntry version, ReadOnlySpan<byte> document) => JsonText.ReadWord(version.TarballUrl.Of(document));

    /// <summary>The text of <c>dist.attestations.url</c>, or null.</summary>
    public static string? AttestationsUrl(VersionEntry version, ReadOnlySpan<byte> document) => JsonText.ReadWord(version.AttestationsUrl.Of(document));

    /// <summary>What <c>dist</c> promises of the tarball's bytes.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.UpstreamMalformed"/>: a promise is longer than any can be.</exception>
    public static TarballPromise Promise(VersionEntry version, ReadOnlySpan<byte> document)
    {
        var dist = JsonMembers.Find(document, version.Manifest, "dist"u8);
        return new TarballPromise(
            PromiseOf(version, JsonMembers.Find(document, dist, "integrity"u8).Of(document)),
            PromiseOf(version, JsonMembers.Find(document, dist, "shasum"u8).Of(document)));
    }

    private static string? PromiseOf(VersionEntry version, ReadOnlySpan<byte> value)
    {
        // Not to be taken for no promise: then the tarball would not be checked.
        if (value.Length > JsonText.WordSizeMaxBytes && value[0] == '"')
        {
            throw new MirrorException(MirrorFault.UpstreamMalformed, $"The integrity of version {MirrorException.Quote(version.Version)} is {value.Length:N0} bytes long; its tarball cannot be checked.");
        }

        return JsonText.ReadWord(value);
    }
}
