using System.Globalization;
using NpmMirror.Packuments;

namespace NpmMirror.Page.Packages;

/// <summary>A version among those of a package.</summary>
/// <param name="Version">The version.</param>
/// <param name="PublishedAt">When it was published; null if the packument does not tell.</param>
/// <param name="SizeBytes">Unpacked, as the publisher's client counted it; null if it is not told.</param>
/// <param name="Marks">What to know about it.</param>
/// <param name="IsRemoved">Whether it is in the packument no more.</param>
internal sealed record VersionLine(string Version, DateTimeOffset? PublishedAt, long? SizeBytes, IReadOnlyList<Mark> Marks, bool IsRemoved)
{
    internal static VersionLine Of(HeldPackage package, VersionEntry entry)
    {
        var document = package.Raw.Bytes;
        var marks = new List<Mark>();
        if (package.TarballOf(entry.Version) is not null)
        {
            marks.Add(new Mark("stored", "good"));
        }

        if (Manifest.Deprecation(entry, document) is not null)
        {
            marks.Add(new Mark("deprecated", "warn"));
        }

        if (Manifest.HasInstallScript(entry, document))
        {
            marks.Add(new Mark("install script", "warn"));
        }

        if (Manifest.HasProvenance(entry, document))
        {
            marks.Add(new Mark("provenance", "good"));
        }

        return new VersionLine(entry.Version, entry.PublishedAt, SizeOf(package, entry), marks, false);
    }

    /// <summary>A version that is in the packument no more, and whose tarball is stored.</summary>
    internal static VersionLine OfRemoved(string version) => new(version, null, null, [new Mark("removed", "bad"), new Mark("stored", "good")], true);

    private static long? SizeOf(HeldPackage package, VersionEntry entry)
    {
        var value = package.Find(package.Find(entry.Manifest, "dist"), "unpackedSize").Of(package.Raw.Bytes);
        return value.Length is > 0 and < 16 && long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size : null;
    }
}

/// <summary>A word about a version, and how it is coloured: good, warn or bad.</summary>
internal sealed record Mark(string Word, string Kind);
