using NpmMirror.Visibility;

namespace NpmMirror.Searching;

/// <summary>Answers from the index, and leaves out what readers may not see, also before the index has heard of it.</summary>
internal sealed class PackageSearch(ISearchIndex index, IndexFollower follower, PackageVisibility visibility) : IPackageSearch
{
    /// <inheritdoc/>
    public SearchState State => follower.State;

    /// <inheritdoc/>
    public async ValueTask<SearchAnswer> FindAsync(SearchQuery query, CancellationToken cancellationToken) => await ShownAsync(await index.FindAsync(query, cancellationToken), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<SearchAnswer> BrowseAsync(string prefix, PackageName? after, int size, CancellationToken cancellationToken) =>
        await ShownAsync(await index.BrowseAsync(prefix, after, size, cancellationToken), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<SearchAnswer> ListDependentsAsync(PackageName package, int from, int size, CancellationToken cancellationToken) =>
        await ShownAsync(await index.ListDependentsAsync(package, from, size, cancellationToken), cancellationToken);

    private async ValueTask<SearchAnswer> ShownAsync(SearchAnswer answer, CancellationToken cancellationToken)
    {
        var shown = new List<SearchHit>(answer.Hits.Count);
        foreach (var hit in answer.Hits)
        {
            if (await IsShownAsync(hit.Name, cancellationToken))
            {
                shown.Add(hit);
            }
        }

        return shown.Count == answer.Hits.Count ? answer : answer with { Hits = shown, Total = answer.Total - (answer.Hits.Count - shown.Count) };
    }

    private async ValueTask<bool> IsShownAsync(PackageName name, CancellationToken cancellationToken)
    {
        try
        {
            return await visibility.FindAsync(name, cancellationToken) is null;
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            return false;
        }
    }
}
