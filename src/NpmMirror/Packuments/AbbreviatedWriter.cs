using System.Buffers;
using System.Globalization;
using System.Text;

namespace NpmMirror.Packuments;

/// <summary>
/// Writes the abbreviated form: the members of each manifest that an install needs. Beyond npm's registry it sends <c>libc</c>, for which npm and bun
/// would otherwise fetch the full form, and <c>time</c>, which saves pnpm a second request, but only when it knows every version: clients with
/// an age gate refuse versions that a <c>time</c> leaves out.
/// </summary>
internal static class AbbreviatedWriter
{
    public static void Write(PackumentIndex index, ReadOnlySpan<byte> document, UrlWriter urls, IBufferWriter<byte> output)
    {
        output.Write("{\"name\":"u8);
        JsonText.Write(index.Name, output);
        if (index.ModifiedAt is { } modified)
        {
            output.Write(",\"modified\":\""u8);
            Encoding.ASCII.GetBytes(modified.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture), output);
            output.Write("\""u8);
        }

        WriteTags(index, output);
        output.Write(",\"versions\":{"u8);
        var isFirst = true;
        var isTimeComplete = true;
        foreach (var version in index.Versions)
        {
            WriteSeparator(ref isFirst, output);
            JsonText.Write(version.Version, output);
            output.Write(":"u8);
            WriteManifest(version, document, urls, output);
            isTimeComplete &= version.PublishedAt is not null;
        }

        output.Write("}"u8);
        if (isTimeComplete && !index.Time.IsEmpty && document[index.Time.Offset] == '{')
        {
            output.Write(",\"time\":"u8);
            output.Write(index.Time.Of(document));
        }

        output.Write("}"u8);
    }

    private static void WriteTags(PackumentIndex index, IBufferWriter<byte> output)
    {
        output.Write(",\"dist-tags\":{"u8);
        var isFirst = true;
        foreach (var (tag, version) in index.DistTags)
        {
            WriteSeparator(ref isFirst, output);
            JsonText.Write(tag, output);
            output.Write(":"u8);
            JsonText.Write(version, output);
        }

        output.Write("}"u8);
    }

    /// <summary>Writes one manifest's members.</summary>
    internal static void WriteManifest(in VersionEntry version, ReadOnlySpan<byte> document, UrlWriter urls, IBufferWriter<byte> output)
    {
        output.Write("{"u8);
        var isFirst = true;
        Slice scripts = default, declared = default;
        var members = new JsonMemberReader(document, version.Manifest);
        while (members.MoveNext())
        {
            switch (FieldOf(members.Name))
            {
                case Field.Scripts: scripts = members.Value; break;
                case Field.HasInstallScript: declared = members.Value; break;
                case Field.Kept:
                    WriteSeparator(ref isFirst, output);
                    PackumentWriter.Copy(document, new Slice(members.Start, members.Value.Offset + members.Value.Length - members.Start), version, urls, output);
                    break;
            }
        }

        if (Manifest.HasInstallScript(document, scripts, declared))
        {
            WriteSeparator(ref isFirst, output);
            output.Write("\"hasInstallScript\":true"u8);
        }

        output.Write("}"u8);
    }

    private static void WriteSeparator(ref bool isFirst, IBufferWriter<byte> output)
    {
        if (!isFirst)
        {
            output.Write(","u8);
        }

        isFirst = false;
    }

    private enum Field
    {
        Dropped,
        Kept,
        Scripts,
        HasInstallScript,
    }

    private static Field FieldOf(ReadOnlySpan<byte> name) => KnownField(name.Contains((byte)'\\') ? Encoding.UTF8.GetBytes(JsonText.Unescape(name)) : name);

    private static Field KnownField(ReadOnlySpan<byte> name) => name.Length switch
    {
        2 when name.SequenceEqual("os"u8) => Field.Kept,
        3 when name.SequenceEqual("bin"u8) || name.SequenceEqual("cpu"u8) => Field.Kept,
        4 when name.SequenceEqual("name"u8) || name.SequenceEqual("dist"u8) || name.SequenceEqual("libc"u8) => Field.Kept,
        7 when name.SequenceEqual("version"u8) || name.SequenceEqual("engines"u8) || name.SequenceEqual("funding"u8) => Field.Kept,
        7 when name.SequenceEqual("scripts"u8) => Field.Scripts,
        10 when name.SequenceEqual("deprecated"u8) => Field.Kept,
        11 when name.SequenceEqual("directories"u8) => Field.Kept,
        12 when name.SequenceEqual("dependencies"u8) => Field.Kept,
        14 when name.SequenceEqual("_hasShrinkwrap"u8) => Field.Kept,
        15 when name.SequenceEqual("devDependencies"u8) => Field.Kept,
        16 when name.SequenceEqual("peerDependencies"u8) => Field.Kept,
        16 when name.SequenceEqual("hasInstallScript"u8) => Field.HasInstallScript,
        18 when name.SequenceEqual("acceptDependencies"u8) || name.SequenceEqual("bundleDependencies"u8) => Field.Kept,
        19 when name.SequenceEqual("bundledDependencies"u8) => Field.Kept,
        20 when name.SequenceEqual("optionalDependencies"u8) || name.SequenceEqual("peerDependenciesMeta"u8) => Field.Kept,
        _ => Field.Dropped,
    };
}
