using NpmMirror.Hosting;
using NpmMirror.Packuments;
using Semver;

namespace NpmMirror.Page.Packages;

/// <summary>The dependencies of a version, and the version that each range stands for now among what is held.</summary>
internal sealed class DependencyList(Mirror mirror)
{
    /// <summary>The most that are resolved and shown of one kind.</summary>
    internal const int ShownMax = 60;

    private const int RangeMaxChars = 256;

    /// <summary>Resolves each range.</summary>
    internal async Task<IReadOnlyList<DependencyLine>> ResolveAsync(IReadOnlyList<Dependency> dependencies, CancellationToken cancellationToken)
    {
        var lines = new List<DependencyLine>();
        foreach (var dependency in dependencies.Take(ShownMax))
        {
            lines.Add(await ResolveAsync(dependency, cancellationToken));
        }

        return lines;
    }

    private async Task<DependencyLine> ResolveAsync(Dependency dependency, CancellationToken cancellationToken)
    {
        var (target, range) = (dependency.Name, dependency.Range);
        if (range.StartsWith("npm:", StringComparison.Ordinal) && range.LastIndexOf('@') is > 4 and var at)
        {
            // Another package under this name.
            (target, range) = (range[4..at], range[(at + 1)..]);
        }

        if (!PackageName.TryParse(target, out var name))
        {
            return new DependencyLine(dependency, null, null, "no package of a registry");
        }

        if (await mirror.Store.Packages.FindAsync(name, cancellationToken) is not { Damage: null } row || mirror.Visibility.Rules.Hides(row))
        {
            return new DependencyLine(dependency, name, null, "not held here");
        }

        var index = PackumentIndex.TryFromBytes(row.Index.Span, name);
        return index is null ? new DependencyLine(dependency, name, null, "not known")
            : Find(index, range) is { } version ? new DependencyLine(dependency, name, version, null)
            : new DependencyLine(dependency, name, null, "no version of it fits");
    }

    /// <summary>The version that a tag or range stands for, as npm chooses: <c>latest</c> if it fits, else the highest that does.</summary>
    internal static string? Find(PackumentIndex index, string range)
    {
        range = range.Trim();
        if (index.DistTags.TryGetValue(range.Length == 0 ? "latest" : range, out var tagged) && index.Find(tagged) is not null)
        {
            return tagged;
        }

        if (range.Length > RangeMaxChars || !SemVersionRange.TryParseNpm(range, includeAllPrerelease: false, out var wanted, maxLength: RangeMaxChars))
        {
            return null;
        }

        if (index.DistTags.TryGetValue("latest", out var latest) && index.Find(latest) is not null && Fits(latest, wanted))
        {
            return latest;
        }

        return index.Versions.Select(entry => entry.Version).Where(version => Fits(version, wanted)).Order(VersionSort.HighestFirst).FirstOrDefault();
    }

    private static bool Fits(string version, SemVersionRange range) =>
        version.Length <= RangeMaxChars && SemVersion.TryParse(version, SemVersionStyles.Strict, out var parsed, maxLength: RangeMaxChars) && range.Contains(parsed);
}

/// <summary>A dependency as a manifest has it.</summary>
internal sealed record Dependency(string Name, string Range);

/// <summary>A dependency and the version that it stands for now.</summary>
/// <param name="Dependency">The dependency.</param>
/// <param name="Target">The package; null if it is none of a registry.</param>
/// <param name="Version">The version; null if there is none here.</param>
/// <param name="Problem">Why there is none.</param>
internal sealed record DependencyLine(Dependency Dependency, PackageName? Target, string? Version, string? Problem);
