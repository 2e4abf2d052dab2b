using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Mirroring;

/// <summary>
/// A walk over everything the upstream lists: queues what this mirror wants and does not have, or has in another revision. Repeatable:
/// what is there already is skipped, so an interrupted walk goes on where it matters.
/// </summary>
internal sealed class UpstreamWalk(IMetadataStore store, SyncQueue queue, PackageScope scope, RegistryClient upstream, TimeProvider time)
{
    private const int BatchItems = 500;

    /// <summary>Walks the list. Returns how many packages were queued.</summary>
    public Task<int> WalkAsync(IAsyncEnumerable<ListedPackage> list, CancellationToken cancellationToken) => EnqueueAsync(NeededAsync(list, cancellationToken), cancellationToken);

    /// <summary>Queues names without a list to compare with: those listed by hand, those held.</summary>
    public Task<int> QueueAsync(IAsyncEnumerable<PackageName> names, CancellationToken cancellationToken) => EnqueueAsync(names.Select(name => ItemOf(name, null)), cancellationToken);

    /// <summary>Those of the names that are not held.</summary>
    public async IAsyncEnumerable<PackageName> MissingAsync(IEnumerable<PackageName> names, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var name in names)
        {
            if (await store.FindAsync(name, cancellationToken) is null)
            {
                yield return name;
            }
        }
    }

    /// <summary>The names of all packages held.</summary>
    public async IAsyncEnumerable<PackageName> HeldAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var row in store.ListAsync(null, isRemoved: false, cancellationToken))
        {
            yield return row.Name;
        }
    }

    private async Task<int> EnqueueAsync(IAsyncEnumerable<QueueItem> items, CancellationToken cancellationToken)
    {
        var queued = 0;
        var batch = new List<QueueItem>(BatchItems);
        await foreach (var item in items.WithCancellation(cancellationToken))
        {
            batch.Add(item);
            queued++;
            if (batch.Count == BatchItems)
            {
                await queue.EnqueueAsync(batch, null, cancellationToken);
                batch.Clear();
            }
        }

        await queue.EnqueueAsync(batch, null, cancellationToken);
        return queued;
    }

    private async IAsyncEnumerable<QueueItem> NeededAsync(IAsyncEnumerable<ListedPackage> list, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var listed in list.WithCancellation(cancellationToken))
        {
            if (PackageName.TryParse(listed.Id, out var name) && await IsNeededAsync(name, listed.Rev, cancellationToken))
            {
                yield return ItemOf(name, listed.Rev);
            }
        }
    }

    private async ValueTask<bool> IsNeededAsync(PackageName name, string? rev, CancellationToken cancellationToken)
    {
        var row = await store.FindAsync(name, cancellationToken);
        if (row is null)
        {
            return scope.IsWantedAhead(name);
        }

        return row.Facts.IsRemoved || row.Facts.Upstream != upstream.Identity || rev is null || row.Facts.Rev != rev;
    }

    private QueueItem ItemOf(PackageName name, string? rev)
    {
        var now = time.GetUtcNow();
        return new QueueItem { Name = name, Priority = QueuePriority.Bulk, DueAt = now, QueuedAt = now, WantedRev = rev };
    }
}
