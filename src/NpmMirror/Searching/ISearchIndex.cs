using NpmMirror.Storage;

namespace NpmMirror.Searching;

/// <summary>
/// A file or service that finds packages by their words. It is a view of the log and holds nothing that cannot be made again: the mirror fills it
/// from the packages held, then from each change, and fills it anew where it is lost. It knows nothing of a store or of what readers may see.
/// </summary>
/// <remarks>Readers are many at a time, also while it is written. Writers are one at a time. Failures are a <see cref="MirrorException"/>.</remarks>
public interface ISearchIndex : IAsyncDisposable
{
    /// <summary>Where it is.</summary>
    string Location { get; }

    /// <summary>Cancelled when it was found damaged and is to be opened again; another one after each <see cref="OpenAsync"/>.</summary>
    CancellationToken Broken { get; }

    /// <summary>The packages in it, and its bytes; zeros before it is open.</summary>
    (long Packages, long SizeBytes) Count();

    /// <summary>
    /// Opens it, or makes an empty one in the place of one that cannot be used: damaged, of another form. Called again after trouble.
    /// </summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreUnavailable"/> or <see cref="MirrorFault.StoreReadOnly"/>: it can be neither read nor made.</exception>
    Task<OpenedIndex> OpenAsync(CancellationToken cancellationToken);

    /// <summary>What is noted in it, read beside a process that may write it; null if there is none, or nothing can be read. For <c>status</c>.</summary>
    ValueTask<IndexMark?> PeekAsync(CancellationToken cancellationToken);

    /// <summary>Empties it.</summary>
    /// <param name="mark">What is noted in it.</param>
    /// <param name="cancellationToken">Cancels.</param>
    Task ClearAsync(IndexMark mark, CancellationToken cancellationToken);

    /// <summary>Writes packages and the mark that is right with them at once, or nothing. After a crash there may be an earlier mark with the packages that were right with it.</summary>
    /// <param name="changes">The packages, each once.</param>
    /// <param name="mark">What is noted with them.</param>
    /// <param name="cancellationToken">Cancels.</param>
    Task WriteAsync(IReadOnlyList<IndexChange> changes, IndexMark mark, CancellationToken cancellationToken);

    /// <summary>Ends a building: puts in order what is only known when all packages are there. The mark is noted when that is done.</summary>
    Task CompleteAsync(IndexMark mark, CancellationToken cancellationToken);

    /// <summary>See <see cref="IPackageSearch.FindAsync"/>.</summary>
    ValueTask<SearchAnswer> FindAsync(SearchQuery query, CancellationToken cancellationToken);

    /// <summary>See <see cref="IPackageSearch.BrowseAsync"/>.</summary>
    ValueTask<SearchAnswer> BrowseAsync(string prefix, PackageName? after, int size, CancellationToken cancellationToken);

    /// <summary>See <see cref="IPackageSearch.ListDependentsAsync"/>.</summary>
    ValueTask<SearchAnswer> ListDependentsAsync(PackageName package, int from, int size, CancellationToken cancellationToken);
}

/// <summary>An index that was opened.</summary>
/// <param name="Mark">What is noted in it; null in an empty one.</param>
/// <param name="IsWritten">False if another process writes it, or nobody can: it is only read here.</param>
/// <param name="Remark">Why an earlier one was given up, or why it is only read; null if there is nothing to tell.</param>
public readonly record struct OpenedIndex(IndexMark? Mark, bool IsWritten, string? Remark);

/// <summary>What an index notes of itself.</summary>
/// <param name="Head">The row of the log up to which it is right, with its hash: another store's log has another one there.</param>
/// <param name="Shown">Which packages it holds, as a text: with other rules for removed packages it is built again.</param>
/// <param name="Built">While it is being built: the last name of those that are in it, in ascending order; null once it is complete.</param>
public sealed record IndexMark(LogHead Head, string Shown, string? Built);

/// <summary>A package to write.</summary>
/// <param name="Name">The package.</param>
/// <param name="Package">Its content; null takes it out of the index.</param>
public readonly record struct IndexChange(PackageName Name, IndexedPackage? Package);

/// <summary>Makes the index of a mirror; nothing is opened yet.</summary>
/// <param name="dataFolder">The mirror's data folder.</param>
/// <param name="time">The clock.</param>
public delegate ISearchIndex SearchIndexMaker(string dataFolder, TimeProvider time);
