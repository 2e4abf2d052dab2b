using System.Buffers;
using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>
/// The values of a packument that people ask for: for engines whose tables can be queried. Nothing depends on them but such queries. A value of another type than
/// npm's documentation tells is left out; long texts are shortened and long lists cut.
/// </summary>
public sealed record PackumentColumns
{
    /// <summary>The most values of any list here.</summary>
    public const int ListMax = ColumnValues.ListMax;

    /// <summary><c>description</c>, or null.</summary>
    public string? Description { get; init; }

    /// <summary><c>keywords</c>, each once.</summary>
    public required IReadOnlyList<string> Keywords { get; init; }

    /// <summary>The names of <c>maintainers</c>, each once; no addresses.</summary>
    public required IReadOnlyList<string> Maintainers { get; init; }

    /// <summary>The license, in one text; null if it tells none.</summary>
    public string? License { get; init; }

    /// <summary>The dist-tags and their versions, in document order.</summary>
    public required IReadOnlyList<DistTagColumns> DistTags { get; init; }

    /// <summary>Reads a document by its stored index; null if they are not of this package, or not of each other.</summary>
    /// <param name="name">The package.</param>
    /// <param name="index">The stored index, see <see cref="PackumentIndex.ToBytes"/>.</param>
    /// <param name="document">The document's raw bytes.</param>
    /// <param name="read">The index, as it was read.</param>
    public static PackumentColumns? TryRead(PackageName name, ReadOnlySpan<byte> index, ReadOnlySpan<byte> document, out PackumentIndex? read)
    {
        read = null;
        try
        {
            read = PackumentIndex.TryFromBytes(index, name);
            return read is null || read.DocumentSizeBytes != document.Length ? null : Read(read, document);
        }
        catch (Exception e) when (e is JsonException or MirrorException or ArgumentException or IndexOutOfRangeException or InvalidOperationException)
        {
            // The places in the index are of other bytes.
            return null;
        }
    }

    /// <summary>Reads a document by its index. What the document itself does not tell, its version <c>latest</c> does.</summary>
    /// <exception cref="MirrorException">The index is another document's.</exception>
    public static PackumentColumns Read(PackumentIndex index, ReadOnlySpan<byte> document)
    {
        var top = JsonMembers.ReadTop(document, index.VersionsValue);
        var latest = index.DistTags.TryGetValue("latest", out var version) && index.Find(version) is { } entry ? entry.Manifest : default;
        return new PackumentColumns
        {
            Description = ColumnValues.Text(Find(document, top, latest, "description").Of(document)),
            Keywords = ColumnValues.Keywords(document, Find(document, top, latest, "keywords")),
            Maintainers = ColumnValues.People(document, Find(document, top, latest, "maintainers")),
            License = ColumnValues.License(document, Find(document, top, latest, "license"), Find(document, top, latest, "licenses")),
            DistTags = [.. index.DistTags.Where(tag => tag.Key.Length <= ColumnValues.NameMaxChars && tag.Value.Length <= ColumnValues.NameMaxChars).Take(ListMax).Select(tag => new DistTagColumns(tag.Key, tag.Value))],
        };
    }

    private static Slice Find(ReadOnlySpan<byte> document, OrderedDictionary<string, Slice> top, Slice latest, string name) =>
        top.TryGetValue(name, out var value) ? value : JsonMembers.Find(document, latest, System.Text.Encoding.UTF8.GetBytes(name));
}

/// <summary>A dist-tag.</summary>
public readonly record struct DistTagColumns(string Tag, string Version);

/// <summary>The values of one version that people ask for; see <see cref="PackumentColumns"/>.</summary>
public sealed record VersionColumns
{
    /// <summary>The version, any text.</summary>
    public required string Version { get; init; }

    /// <summary>Its entry in <c>time</c>; null if missing or no date.</summary>
    public DateTimeOffset? PublishedAt { get; init; }

    /// <summary>Why it is deprecated; null if it is not.</summary>
    public string? Deprecated { get; init; }

    /// <summary>Its license, in one text; null if it tells none.</summary>
    public string? License { get; init; }

    /// <summary><c>dependencies</c>: names and ranges, in document order, each name once.</summary>
    public required IReadOnlyList<DependencyColumns> Dependencies { get; init; }

    /// <summary>Reads a version's manifest.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: the entry is of another document.</exception>
    public static VersionColumns Read(VersionEntry version, ReadOnlySpan<byte> document)
    {
        Slice deprecated = default, license = default, licenses = default, dependencies = default;
        var members = new JsonMemberReader(document, version.Manifest);
        while (members.MoveNext())
        {
            // In any escaping; of equal names the last one counts.
            if (JsonText.Is(members.Name, "deprecated"u8))
            {
                deprecated = members.Value;
            }
            else if (JsonText.Is(members.Name, "license"u8))
            {
                license = members.Value;
            }
            else if (JsonText.Is(members.Name, "licenses"u8))
            {
                licenses = members.Value;
            }
            else if (JsonText.Is(members.Name, "dependencies"u8))
            {
                dependencies = members.Value;
            }
        }

        var words = Manifest.Deprecation(deprecated.Of(document));
        return new VersionColumns
        {
            Version = version.Version,
            PublishedAt = version.PublishedAt,
            Deprecated = words is { Length: > ColumnValues.ListMax } ? words[..ColumnValues.ListMax] : words,
            License = ColumnValues.License(document, license, licenses),
            Dependencies = ReadDependencies(document, dependencies),
        };
    }

    /// <summary>The small part of a version's manifest: the members that an install needs, as JSON, with the upstream's own URLs.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: the entry is of another document.</exception>
    public static byte[] ReadSmallManifest(VersionEntry version, ReadOnlySpan<byte> document)
    {
        var output = new ArrayBufferWriter<byte>();
        AbbreviatedWriter.WriteManifest(version with { TarballUrl = default, AttestationsUrl = default }, document, default, output);
        return output.WrittenSpan.ToArray();
    }

    private static List<DependencyColumns> ReadDependencies(ReadOnlySpan<byte> document, Slice value)
    {
        var found = new OrderedDictionary<string, DependencyColumns>(StringComparer.Ordinal);
        var members = new JsonMemberReader(document, value);
        for (var count = 0; count < ColumnValues.DependenciesMax && members.MoveNext(); count++)
        {
            if (members.Name.Length <= 4 * ColumnValues.NameMaxChars && JsonText.Decode(members.Name) is { Length: > 0 and <= ColumnValues.NameMaxChars } name)
            {
                found[name] = new DependencyColumns(name, ColumnValues.Text(members.Value.Of(document), ColumnValues.NameMaxChars) ?? "");
            }
        }

        return [.. found.Values];
    }
}

/// <summary>A dependency: the name, and the range or address as it is written; empty where that is no text.</summary>
public readonly record struct DependencyColumns(string Name, string Range);
