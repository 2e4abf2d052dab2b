using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>
/// Reads stored packages for clients. If one is damaged, the reader gets a failure that says so, and the queue fetches the package again,
/// without validators and at the queue's own pace: requests for a damaged document never go to the upstream themselves.
/// </summary>
internal sealed partial class DocumentRepair(IQueueTable queued, SyncQueue queue, PackageSync sync, TimeProvider time, ILogger<DocumentRepair> logger)
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(2);

    /// <summary>The result of <paramref name="read"/> for a stored package.</summary>
    /// <exception cref="MirrorException">The stored package is damaged and will be fetched again; or <paramref name="read"/> failed otherwise.</exception>
    public async ValueTask<T> ReadAsync<T>(PackageName name, Func<ValueTask<T>> read, CancellationToken cancellationToken)
    {
        try
        {
            return await read();
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            var failure = await QueueAsync(name, cancellationToken);
            throw new MirrorException(
                MirrorFault.StoreDamaged,
                $"The stored document of {name} is damaged. It is fetched again from the upstream{(failure is null ? "" : $"; the last try failed: {failure.TrimEnd('.')}")}. Ask again in some seconds.",
                isTransient: true,
                RetryAfter,
                damage);
        }
    }

    /// <summary>The index of a row.</summary>
    /// <exception cref="MirrorException">It is damaged and will be fetched again.</exception>
    public ValueTask<PackumentIndex> IndexOfAsync(PackageRow row, CancellationToken cancellationToken) =>
        ReadAsync(row.Name, () => new ValueTask<PackumentIndex>(PackumentIndex.FromBytes(row.Index.Span, row.Name)), cancellationToken);

    /// <summary>Queues the repair; returns why the last try failed, if it did.</summary>
    private async ValueTask<string?> QueueAsync(PackageName name, CancellationToken cancellationToken)
    {
        sync.NoteDamaged(name);
        try
        {
            var now = time.GetUtcNow();
            // A due item will be tried, and a failed one has its time for the next try: if it were queued anew, each request would send one to the upstream.
            if (await queued.FindQueuedAsync(name, cancellationToken) is { } waiting && (waiting.Attempts > 0 || waiting.DueAt <= now))
            {
                return waiting.LastError;
            }

            await queue.EnqueueAsync([new QueueItem { Name = name, Priority = QueuePriority.Change, DueAt = now, QueuedAt = now }], null, cancellationToken);
            LogDamaged(name);
            return null;
        }
        catch (MirrorException trouble)
        {
            return trouble.Message;
        }
    }

    [LoggerMessage(EventIds.Mirror + 260, LogLevel.Error, "The stored document of {Package} is damaged; the package is queued to be fetched again")]
    private partial void LogDamaged(PackageName package);
}
