using System.Collections.Concurrent;
using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

/// <summary>Empties the queue once and counts: what <c>sync</c> does. Failures are tried again a few times, then left queued and named.</summary>
internal sealed class CatchUp(IMetadataStore store, SyncQueue queue, TimeProvider time)
{
    private const int AttemptsMax = 5;

    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(250);

    private readonly ConcurrentDictionary<PackageName, string> _failures = new();
    private int _changed;
    private int _unchanged;
    private int _removed;
    private long _rawBytes;

    /// <summary>Counts one try.</summary>
    public void Count(SyncAttempt attempt)
    {
        var name = attempt.Item.Name;
        if (!attempt.IsDone)
        {
            _failures[name] = attempt.Error?.Message ?? attempt.Result!.RetryBecause!;
        }
        else if (attempt.Error is not null)
        {
            _failures[name] = attempt.Error.Message;
        }
        else
        {
            _failures.TryRemove(name, out _);
        }

        switch (attempt.Result)
        {
            case SyncResult.Stored stored:
                Interlocked.Increment(ref _changed);
                Interlocked.Add(ref _rawBytes, stored.Row.RawSizeBytes);
                break;
            case SyncResult.Removed:
                Interlocked.Increment(ref _removed);
                break;
            case not null when attempt.IsDone:
                Interlocked.Increment(ref _unchanged);
                break;
        }
    }

    /// <summary>Works until nothing is left that another try soon could mend.</summary>
    public async Task<SyncSummary> RunAsync(IProgress<SyncProgress>? progress, CancellationToken cancellationToken)
    {
        while (true)
        {
            var draining = queue.DrainAsync(cancellationToken);
            while (await Task.WhenAny(draining, Task.Delay(ReportEvery, time, cancellationToken)) != draining)
            {
                progress?.Report(await ProgressAsync(cancellationToken));
            }

            await draining;
            progress?.Report(await ProgressAsync(cancellationToken));
            if (await NextRetryAsync(cancellationToken) is not { } due)
            {
                return new SyncSummary(_changed, _unchanged, _removed, new Dictionary<PackageName, string>(_failures), _rawBytes);
            }

            var pause = due - time.GetUtcNow();
            await Task.Delay(pause > ReportEvery ? pause : ReportEvery, time, cancellationToken);
        }
    }

    /// <summary>When the next item that failed only a few times is due; null when there is none.</summary>
    private async Task<DateTimeOffset?> NextRetryAsync(CancellationToken cancellationToken)
    {
        DateTimeOffset? next = null;
        await foreach (var item in store.ListQueuedAsync(cancellationToken))
        {
            // A first 404 of a package that is held is asked again in minutes: not within this run.
            if (item.Attempts < AttemptsMax && item.MissingSince is null && _failures.ContainsKey(item.Name) && (next is null || item.DueAt < next))
            {
                next = item.DueAt;
            }
        }

        return next;
    }

    private async Task<SyncProgress> ProgressAsync(CancellationToken cancellationToken)
    {
        var counts = await store.CountAsync(cancellationToken);
        return new SyncProgress(_changed + _unchanged + _removed, counts.Queued, _failures.Count, Interlocked.Read(ref _rawBytes));
    }
}
