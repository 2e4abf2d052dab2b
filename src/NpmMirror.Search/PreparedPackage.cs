using NpmMirror.Searching;

namespace NpmMirror.Search;

/// <summary>A package in the form in which it is written, made outside of the transaction and on several processors; without content one to take out.</summary>
internal sealed record PreparedPackage(PackageName Name, SearchHit? Hit, IReadOnlyList<string> Dependencies, byte[]? Content, string? Terms)
{
    private const int DependenciesMax = 1_000;

    internal static PreparedPackage[] Of(IReadOnlyList<IndexChange> changes)
    {
        var prepared = new PreparedPackage[changes.Count];
        Parallel.For(0, prepared.Length, i => prepared[i] = Of(changes[i]));
        return prepared;
    }

    private static PreparedPackage Of(IndexChange change)
    {
        if (change.Package is not { } package)
        {
            return new PreparedPackage(change.Name, null, [], null, null);
        }

        if (package.Dependencies.Count > DependenciesMax)
        {
            package = package with { Dependencies = [.. package.Dependencies.Take(DependenciesMax)] };
        }

        return new PreparedPackage(change.Name, package.Hit, package.Dependencies, StoredPackage.Write(package), Search.Terms.Of(package.Hit, package.Dependencies));
    }
}
