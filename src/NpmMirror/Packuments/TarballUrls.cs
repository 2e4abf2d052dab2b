namespace NpmMirror.Packuments;

/// <summary>How this mirror spells tarball URLs and file names.</summary>
public static class TarballUrls
{
    /// <summary>The file name of a version's tarball: <c>node-1.0.0.tgz</c>.</summary>
    public static string FileName(PackageName name, string version) => $"{name.BareName}-{version}.tgz";

    /// <summary>The version whose tarball has this file name — this mirror's spelling, or the upstream's own last path segment — or null.</summary>
    public static VersionEntry? FindVersion(PackumentIndex index, ReadOnlySpan<byte> document, PackageName name, string file) => throw new NotImplementedException();
}
