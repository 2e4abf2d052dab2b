using NpmMirror.Renditions;
using NpmMirror.Storage;
using NpmMirror.Syncing;

namespace NpmMirror.AspNetCore.Packages;

/// <summary>Finds a package's row for a reader: <see cref="ReadThrough.FindAsync"/>.</summary>
internal delegate ValueTask<ReadAnswer> PackageLookup(PackageName name, CancellationToken cancellationToken);

/// <summary>Looks upstream for a version or file that a held packument lacks: <see cref="ReadThrough.LookForAsync"/>.</summary>
internal delegate Task<bool> VersionLookup(PackageRow searched, string item, long askedAt, CancellationToken cancellationToken);

/// <summary>Finds packages for the endpoints: remembered ones at once, others with a look.</summary>
/// <param name="lookup">Looks for a row, in the store or upstream.</param>
/// <param name="isServable">Whether a row from memory is young enough to be served without a look: <see cref="ReadThrough.IsServable"/>.</param>
/// <param name="cache">The remembered packages.</param>
internal sealed class PackageFinder(PackageLookup lookup, Func<PackageRow, bool> isServable, RenditionCache cache)
{
    /// <summary>True if the package may be served from memory. Its age comes first: a fresh look has dropped an older one before.</summary>
    internal bool IsCurrent(CachedPackage package) => isServable(package.Row) && cache.IsCurrent(package);

    /// <summary>The package, or why there is none.</summary>
    /// <exception cref="MirrorException">Not known here, and looking failed.</exception>
    internal async ValueTask<(CachedPackage? Package, ReadAnswer.Absent? Absent)> FindAsync(PackageName name, CancellationToken cancellationToken)
    {
        if (cache.Find(name) is { } known && IsCurrent(known))
        {
            return (known, null);
        }

        try
        {
            var found = await LookAsync(name, cancellationToken);
            // A look that fetches and commits drops the name: the second look finds it in the store, to be kept.
            return found.Package is { IsDropped: true } ? await LookAsync(name, cancellationToken) : found;
        }
        catch (MirrorException)
        {
            if (cache.Find(name) is { } held)
            {
                // No change was told, and the package in memory needs no store.
                return (held, null);
            }

            throw;
        }
    }

    private async ValueTask<(CachedPackage? Package, ReadAnswer.Absent? Absent)> LookAsync(PackageName name, CancellationToken cancellationToken)
    {
        // Before the look: a commit in between invalidates the ticket.
        var ticket = cache.Ticket(name);
        switch (await lookup(name, cancellationToken))
        {
            case ReadAnswer.Found found:
                return (cache.Keep(found.Row, ticket), null);
            case ReadAnswer.Absent absent:
                cache.Drop(name);
                return (null, absent);
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }
}
