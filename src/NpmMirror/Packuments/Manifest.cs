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
    public static string? TarballUrl(VersionEntry version, ReadOnlySpan<byte> document) =>
        version.TarballUrl.IsEmpty ? null : JsonText.Read(version.TarballUrl.Of(document));

    /// <summary>The text of <c>dist.attestations.url</c>, or null.</summary>
    public static string? AttestationsUrl(VersionEntry version, ReadOnlySpan<byte> document) =>
        version.AttestationsUrl.IsEmpty ? null : JsonText.Read(version.AttestationsUrl.Of(document));

    /// <summary>What <c>dist</c> promises of the tarball's bytes.</summary>
    public static TarballPromise Promise(VersionEntry version, ReadOnlySpan<byte> document)
    {
        var dist = JsonMembers.Find(document, version.Manifest, "dist"u8);
        return new TarballPromise(TextOf(document, JsonMembers.Find(document, dist, "integrity"u8)), TextOf(document, JsonMembers.Find(document, dist, "shasum"u8)));
    }

    private static string? TextOf(ReadOnlySpan<byte> document, Slice value) =>
        !value.IsEmpty && document[value.Offset] == '"' ? JsonText.Read(value.Of(document)) : null;
}
