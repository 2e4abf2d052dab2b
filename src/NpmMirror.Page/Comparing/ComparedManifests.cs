using NpmMirror.Packuments;
using NpmMirror.Page.Packages;
using NpmMirror.Storage;

namespace NpmMirror.Page.Comparing;

/// <summary>A member of two manifests that differs, as indented JSON; null where a manifest has none, or it is too long to be shown.</summary>
internal sealed record ComparedMember(string Name, string? From, string? To);

/// <summary>Two versions of a package, as its packument has them.</summary>
/// <param name="From">The manifest of the earlier one; null if the packument has none any more.</param>
/// <param name="To">The manifest of the later one.</param>
/// <param name="FromTarball">The stored tarball of the earlier one; null if there is none.</param>
/// <param name="ToTarball">The stored tarball of the later one.</param>
internal sealed record ComparedVersions(ManifestMembers? From, ManifestMembers? To, TarballRow? FromTarball, TarballRow? ToTarball)
{
    internal static ComparedVersions Of(HeldPackage package, string from, string to) => new(Members(package, from), Members(package, to), package.TarballOf(from), package.TarballOf(to));

    private static ManifestMembers? Members(HeldPackage package, string version) => package.Index.Find(version) is { } entry ? ManifestMembers.Of(entry.Manifest.Of(package.Raw.Bytes)) : null;
}

/// <summary>The members of a manifest as JSON.</summary>
internal sealed class ManifestMembers
{
    private const int MembersMax = 1_000;
    private const int ShownMaxChars = 8_000;

    // Install scripts first, then who and what comes along.
    private static readonly string[] First = ["scripts", "hasInstallScript", "maintainers", "_npmUser", "bin", "dependencies", "optionalDependencies", "peerDependencies", "bundleDependencies", "license", "repository", "engines", "os", "cpu"];

    // Each version has others.
    private static readonly HashSet<string> Left = ["version", "_id", "dist", "gitHead", "_npmOperationalInternal", "_nodeVersion", "_npmVersion", "devDependencies"];

    private readonly Dictionary<string, byte[]> _members;

    private ManifestMembers(Dictionary<string, byte[]> members) => _members = members;

    internal static ManifestMembers Of(ReadOnlySpan<byte> manifest)
    {
        var members = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        var document = manifest;
        foreach (var (name, value) in JsonMembers.Read(document, new Slice(0, document.Length)))
        {
            if (members.Count == MembersMax)
            {
                break;
            }

            members[name] = value.Of(document).ToArray();
        }

        return new ManifestMembers(members);
    }

    /// <summary>The members that differ, those that matter most first.</summary>
    internal static IReadOnlyList<ComparedMember> Compare(ManifestMembers from, ManifestMembers to)
    {
        var names = from._members.Keys.Union(to._members.Keys).Where(name => !Left.Contains(name) && !Same(from, to, name));
        return [.. names.OrderBy(name => Array.IndexOf(First, name) is >= 0 and var at ? at : First.Length).ThenBy(name => name, StringComparer.Ordinal).Take(100).Select(name => new ComparedMember(Words.Plain(name, 100), from.Shown(name), to.Shown(name)))];
    }

    private static bool Same(ManifestMembers from, ManifestMembers to, string name) =>
        from._members.TryGetValue(name, out var left) && to._members.TryGetValue(name, out var right) && left.AsSpan().SequenceEqual(right);

    private string? Shown(string name) => _members.TryGetValue(name, out var json) ? VersionSummary.Indent(json) is { Length: <= ShownMaxChars } text ? text : "(too long to be shown)" : null;
}
