using System.Text;

namespace NpmMirror.Packuments;

/// <summary>How this mirror spells tarball URLs and file names.</summary>
internal static class TarballUrls
{
    private const string Extension = ".tgz";

    /// <summary>The file name of a version's tarball: <c>node-1.0.0.tgz</c>.</summary>
    public static string FileName(PackageName name, string version) => $"{name.BareName}-{version}.tgz";

    /// <summary>The version whose tarball has this file name — this mirror's spelling, or the upstream's own last path segment — or null.</summary>
    /// <param name="index">The document's index.</param>
    /// <param name="document">The document's raw bytes.</param>
    /// <param name="name">The package.</param>
    /// <param name="file">The file name, percent-decoded.</param>
    public static VersionEntry? FindVersion(PackumentIndex index, ReadOnlySpan<byte> document, PackageName name, string file)
    {
        // Looked up, never split: names and versions both hold dashes (a package a-1 exists beside a).
        var bareName = name.BareName;
        if (file.Length >= bareName.Length + 1 + Extension.Length
            && file.StartsWith(bareName, StringComparison.Ordinal)
            && file[bareName.Length] == '-'
            && file.EndsWith(Extension, StringComparison.Ordinal)
            && index.Find(file[(bareName.Length + 1)..^Extension.Length]) is { } version)
        {
            return version;
        }

        return FindByUpstreamName(index, document, file);
    }

    private static VersionEntry? FindByUpstreamName(PackumentIndex index, ReadOnlySpan<byte> document, string file)
    {
        if (file.Length == 0)
        {
            return null;
        }

        var wanted = Encoding.UTF8.GetBytes(file);
        foreach (var version in index.Versions)
        {
            if (version.TarballUrl.Length is > 0 and <= JsonText.WordSizeMaxBytes && IsLastSegment(version.TarballUrl.Of(document), wanted, file))
            {
                return version;
            }
        }

        return null;
    }

    private static bool IsLastSegment(ReadOnlySpan<byte> quotedUrl, ReadOnlySpan<byte> wanted, string file)
    {
        var url = quotedUrl[1..^1];
        if (url.Contains((byte)'\\'))
        {
            url = Encoding.UTF8.GetBytes(JsonText.Unescape(url));
        }

        var end = url.IndexOfAny("?#"u8);
        url = end < 0 ? url : url[..end];
        var segment = url[(url.LastIndexOf((byte)'/') + 1)..];
        return segment.Contains((byte)'%')
            ? Uri.UnescapeDataString(Encoding.UTF8.GetString(segment)) == file
            : segment.SequenceEqual(wanted);
    }
}
