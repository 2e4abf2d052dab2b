namespace NpmMirror.Packuments;

/// <summary>What the bytes of a tarball must be, as a manifest promises it.</summary>
/// <param name="Integrity"><c>dist.integrity</c> (SRI; may hold several hashes), or null.</param>
/// <param name="Shasum"><c>dist.shasum</c> (hex SHA-1), or null.</param>
public sealed record TarballPromise(string? Integrity, string? Shasum);

/// <summary>Values read from a manifest's slice when they are needed.</summary>
public static class Manifest
{
    /// <summary>The text of <c>dist.tarball</c>, or null.</summary>
    public static string? TarballUrl(VersionEntry version, ReadOnlySpan<byte> document) => throw new NotImplementedException();

    /// <summary>What <c>dist</c> promises of the tarball's bytes.</summary>
    public static TarballPromise Promise(VersionEntry version, ReadOnlySpan<byte> document) => throw new NotImplementedException();
}
