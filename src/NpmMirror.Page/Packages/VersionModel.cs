using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using NpmMirror.Packuments;

namespace NpmMirror.Page.Packages;

/// <summary>What the page of a version shows.</summary>
internal sealed record VersionModel(PageFrame Frame, PackageName Name, VersionSummary Summary, IReadOnlyList<DependencyGroup> Dependencies)
{
    internal string Link => PackagePaths.Of(Frame.Up, Name.Value, Summary.Line.Version);

    internal string TarballUrl => $"{Frame.Registry}/{Name.Value}/-/{Uri.EscapeDataString(TarballUrls.FileName(Name, Summary.Line.Version))}";
}

/// <summary>The dependencies of one kind.</summary>
internal sealed record DependencyGroup(string Title, int Count, IReadOnlyList<DependencyLine> Lines);

/// <summary>The manifest of a version, in the parts that people look for.</summary>
internal sealed record VersionSummary
{
    private const int JsonMaxBytes = 200_000;
    private const int MembersMax = 5_000;

    private static readonly (string Member, string Title)[] Kinds =
    [
        ("dependencies", "Dependencies"), ("peerDependencies", "Peer dependencies"), ("optionalDependencies", "Optional dependencies"),
    ];

    private static readonly string[] AtInstall = ["preinstall", "install", "postinstall"];

    public required VersionLine Line { get; init; }

    public string? Description { get; private init; }

    public string? License { get; private init; }

    public string? Deprecated { get; private init; }

    public string? Integrity { get; private init; }

    /// <summary>The account that published it.</summary>
    public string? Publisher { get; private init; }

    /// <summary>The scripts that run when it is installed.</summary>
    public required IReadOnlyList<(string Name, string Text)> InstallScripts { get; init; }

    public required IReadOnlyList<(string Title, IReadOnlyList<Dependency> Dependencies)> Groups { get; init; }

    /// <summary>The highest version below this one, to be compared with.</summary>
    public string? Previous { get; private init; }

    public bool HasProvenance { get; private init; }

    /// <summary>The manifest as indented JSON; null if it is too long.</summary>
    public string? Json { get; private init; }

    /// <summary>That of a version or tag; null if there is none.</summary>
    internal static VersionSummary? Of(HeldPackage package, string versionOrTag)
    {
        if ((package.Index.Find(versionOrTag) ?? (package.Index.DistTags.TryGetValue(versionOrTag, out var tagged) ? package.Index.Find(tagged) : null)) is not { } entry)
        {
            return null;
        }

        var document = package.Raw.Bytes;
        var columns = VersionColumns.Read(entry, document);
        return new VersionSummary
        {
            Line = VersionLine.Of(package, entry),
            Description = Text("description", 1_000),
            License = columns.License is { } license ? Words.Plain(license, 100) : null,
            Deprecated = columns.Deprecated is { } words ? Words.Plain(words) : null,
            Integrity = package.Text(package.Find(package.Find(entry.Manifest, "dist"), "integrity")) is { } integrity ? Words.Plain(integrity, 300) : null,
            Publisher = package.Text(package.Find(package.Find(entry.Manifest, "_npmUser"), "name")) is { } name ? Words.Plain(name, 100) : null,
            InstallScripts = ScriptsOf(package, package.Find(entry.Manifest, "scripts")),
            Groups = [.. Kinds.Select(kind => (kind.Title, DependenciesOf(package, package.Find(entry.Manifest, kind.Member))))],
            Previous = package.Index.Versions.Select(one => one.Version).Where(one => VersionSort.HighestFirst.Compare(one, entry.Version) > 0).Order(VersionSort.HighestFirst).FirstOrDefault(),
            HasProvenance = Manifest.HasProvenance(entry, document),
            Json = Indent(entry.Manifest.Of(document)),
        };

        string? Text(string member, int charsMax) => package.Text(package.Find(entry.Manifest, member)) is { } text ? Words.Plain(text, charsMax) : null;
    }

    /// <summary>JSON with a member a line; null if it is too long, or none.</summary>
    internal static string? Indent(ReadOnlySpan<byte> json)
    {
        if (json.Length > JsonMaxBytes)
        {
            return null;
        }

        try
        {
            using var parsed = JsonDocument.Parse(json.ToArray(), new JsonDocumentOptions { MaxDepth = 64 });
            using var indented = new MemoryStream();
            using (var writer = new Utf8JsonWriter(indented, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            {
                parsed.WriteTo(writer);
            }

            return Encoding.UTF8.GetString(indented.GetBuffer().AsSpan(0, (int)indented.Length));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            // Deeper than anyone reads, or with half a character in it.
            return null;
        }
    }

    private static List<(string Name, string Text)> ScriptsOf(HeldPackage package, Slice scripts)
    {
        var found = new List<(string Name, string Text)>();
        foreach (var name in AtInstall)
        {
            if (package.Text(package.Find(scripts, name)) is { Length: > 0 } text)
            {
                found.Add((name, Words.Plain(text, 2_000)));
            }
        }

        return found;
    }

    private static List<Dependency> DependenciesOf(HeldPackage package, Slice value)
    {
        var found = new OrderedDictionary<string, Dependency>(StringComparer.Ordinal);
        var members = new JsonMemberReader(package.Raw.Bytes, value);
        for (var count = 0; count < MembersMax && members.MoveNext(); count++)
        {
            var (name, range) = (Words.Plain(JsonText.Decode(members.Name), 214), package.Text(members.Value) is { } text ? Words.Plain(text, 256) : "");
            found[name] = new Dependency(name, range);
        }

        return [.. found.Values];
    }
}
