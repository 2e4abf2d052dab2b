using NpmMirror.Feeds;
using NpmMirror.Removals;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>
/// The removed packages of another npm-mirror, so that a mirror of a mirror has the same ones however late it began. Each is only queued: the answer for the package itself
/// says that it is gone, and how; a package that the other mirror still serves is held like any other.
/// </summary>
internal sealed class TombstoneQueue(IPackageTable packages, SyncQueue queue, PackageScope scope, TimeProvider time)
{
    /// <summary>Queues packages that are listed as removed, wanted by the mode, and not known here under that revision. Held ones are left to the comparison with the list of existing ones.</summary>
    internal async Task AddAsync(IAsyncEnumerable<ListedPackage> removed, CancellationToken cancellationToken)
    {
        var bulk = new BulkQueue(queue, time);
        await foreach (var (id, rev) in removed.WithCancellation(cancellationToken))
        {
            if (PackageName.TryParse(id, out var name) && scope.IsWantedAhead(name) && Tombstones.IsNews(await packages.FindAsync(name, cancellationToken), rev))
            {
                await bulk.AddAsync(name, rev, cancellationToken, isRemoved: true);
            }
        }

        await bulk.FlushAsync(cancellationToken);
    }
}
