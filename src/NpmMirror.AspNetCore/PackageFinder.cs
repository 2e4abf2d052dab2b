using NpmMirror.Mirroring;
using NpmMirror.Registry;

namespace NpmMirror.AspNetCore;

/// <summary>Finds a package's row for a reader: <see cref="ReadThrough.FindAsync"/>.</summary>
internal delegate ValueTask<ReadAnswer> PackageLookup(PackageName name, CancellationToken cancellationToken);

/// <summary>Finds packages for the endpoints: remembered ones at once, others by looking.</summary>
internal sealed class PackageFinder(PackageLookup lookup, RenditionCache cache)
{
    /// <summary>The package, or why there is none.</summary>
    /// <exception cref="MirrorException">Not known here, and looking failed.</exception>
    internal async ValueTask<(CachedPackage? Package, ReadAnswer.Absent? Absent)> FindAsync(PackageName name, CancellationToken cancellationToken)
    {
        if (cache.Find(name) is { } known)
        {
            return (known, null);
        }

        // Before looking: a commit in between makes the ticket worthless.
        var ticket = cache.Ticket(name);
        try
        {
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
        catch (MirrorException) when (cache.FindStale(name) is not null)
        {
            // Nobody told of a change, and what is in memory needs no store.
            return (cache.FindStale(name), null);
        }
    }
}
