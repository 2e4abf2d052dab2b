namespace NpmMirror.Searching;

/// <summary>
/// Finds the packages that a mirror holds. The index is a view of the log: it follows within a second of it, and what readers may not see
/// (<c>removed.*</c>) is in no answer, also before the index has followed.
/// </summary>
public interface IPackageSearch
{
    /// <summary>How far the index is.</summary>
    SearchState State { get; }

    /// <summary>The packages that match a query, best first. While the index is being built: of those that are in it so far.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.BadInput"/>: the query asks for nothing. <see cref="MirrorFault.StoreUnavailable"/>: the index cannot be read, or the query took too long.</exception>
    ValueTask<SearchAnswer> FindAsync(SearchQuery query, CancellationToken cancellationToken);

    /// <summary>
    /// The packages whose names begin with a text, by ascending name (UTF-8 bytes, case counts): one of just that name comes first. To go on, pass the last name of a page.
    /// </summary>
    /// <param name="prefix">The beginning; empty for all packages. <c>@scope/</c> gives those of a scope.</param>
    /// <param name="after">Begins after this name; null for the first page.</param>
    /// <param name="size">The most packages in the page, 1 to <see cref="SearchQuery.SizeMax"/>.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreUnavailable"/>: the index cannot be read.</exception>
    ValueTask<SearchAnswer> BrowseAsync(string prefix, PackageName? after, int size, CancellationToken cancellationToken);

    /// <summary>The held packages whose version <c>latest</c> depends on a package (<c>dependencies</c>), those with most dependents of their own first.</summary>
    /// <param name="package">The package, held or not.</param>
    /// <param name="from">How many to leave out at the beginning.</param>
    /// <param name="size">The most packages in the page, 1 to <see cref="SearchQuery.SizeMax"/>.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreUnavailable"/>: the index cannot be read.</exception>
    ValueTask<SearchAnswer> ListDependentsAsync(PackageName package, int from, int size, CancellationToken cancellationToken);
}

/// <summary>A page of packages that were found.</summary>
/// <param name="Hits">The page.</param>
/// <param name="Total">How many there are in all pages.</param>
public sealed record SearchAnswer(IReadOnlyList<SearchHit> Hits, long Total)
{
    /// <summary>Whether <see cref="Total"/> was counted to the end; else there are at least so many.</summary>
    public bool IsTotalExact { get; init; } = true;
}
