using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>Queues many packages, some hundreds a write, after all more urgent ones.</summary>
internal sealed class BulkQueue(SyncQueue queue, TimeProvider time, QueuePriority priority = QueuePriority.Bulk)
{
    private const int BatchItems = 500;

    private readonly List<QueueItem> _batch = new(BatchItems);

    /// <summary>Adds a package; queued with the batch that it completes, or by <see cref="FlushAsync"/>.</summary>
    /// <param name="name">The package.</param>
    /// <param name="rev">The rev that the upstream lists, if it does.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <param name="isRemoved">Whether the upstream lists it as removed.</param>
    internal async ValueTask AddAsync(PackageName name, string? rev, CancellationToken cancellationToken, bool isRemoved = false)
    {
        var now = time.GetUtcNow();
        _batch.Add(new QueueItem { Name = name, Priority = priority, DueAt = now, QueuedAt = now, WantedRev = rev, IsDeletedRow = isRemoved });
        if (_batch.Count == BatchItems)
        {
            await FlushAsync(cancellationToken);
        }
    }

    /// <summary>Queues the rest.</summary>
    internal async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        await queue.EnqueueAsync(_batch, null, cancellationToken);
        _batch.Clear();
    }

    /// <summary>Queues all of these.</summary>
    internal async Task AddAllAsync(IAsyncEnumerable<PackageName> names, CancellationToken cancellationToken)
    {
        await foreach (var name in names.WithCancellation(cancellationToken))
        {
            await AddAsync(name, null, cancellationToken);
        }

        await FlushAsync(cancellationToken);
    }
}
