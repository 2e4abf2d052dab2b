using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Syncing;

/// <summary>How one try of one queued package ended.</summary>
/// <param name="Item">The item as it was taken.</param>
/// <param name="Result">The result; null when it failed.</param>
/// <param name="Error">The failure; null when there was none.</param>
/// <param name="IsDone">Whether the item left the queue.</param>
internal sealed record SyncAttempt(QueueItem Item, SyncResult? Result, Exception? Error, bool IsDone);

/// <summary>
/// Empties the durable queue through <see cref="PackageSync"/>: some workers, a lease for each item, back-off per package, and a
/// way to wait until a package was tried. A failure concerns one package only.
/// </summary>
internal sealed partial class SyncQueue(IMetadataStore store, PackageSync sync, MirrorOptions options, TimeProvider time, ILogger<SyncQueue> logger, Meter? meter = null) : IDisposable
{
    /// <summary>How long the queue is left alone when it says nothing is due; another process may add to it.</summary>
    private static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Packages in work for each request to the upstream: a package with its document waits for a commit that it shares with others, and
    /// delays no other request meanwhile.
    /// </summary>
    private const int PlacesPerRequest = 16;

    private const int TakeMax = 64;

    private readonly ConcurrentDictionary<PackageName, Awaited> _awaited = new();
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(1);
    private readonly AttemptListeners _listeners = new();
    private readonly QueueReturn _return = new(store.Queue, store.Notes, time, logger);
    private readonly QueueMetrics _metrics = new(meter ?? Telemetry.Unread);
    private int _inFlight;
    private long? _measuredAt;

    /// <summary>Calls the listener with each try, until disposed of. It hears before waiters for the try, and is waited for: a slow one slows the queue.</summary>
    public IDisposable OnAttempt(Func<SyncAttempt, CancellationToken, ValueTask> listener) => _listeners.Add(listener);

    /// <summary>Packages being worked on now.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>How far the tarballs of the packages have come.</summary>
    internal TarballProgress Tarballs => sync.Tarballs;

    /// <summary>A client waits for a package that a worker has: where it stands in line after others, it goes ahead.</summary>
    internal void Hurry(PackageName name) => sync.Hurry(name);

    /// <summary>Adds packages durably and wakes the workers.</summary>
    public async ValueTask EnqueueAsync(IReadOnlyList<QueueItem> items, QueueCursor? cursor, CancellationToken cancellationToken)
    {
        await store.Queue.EnqueueAsync(items, cursor, cancellationToken);
        // A woken worker looks at the whole queue, so one waiting signal is enough.
        _wake.Writer.TryWrite(true);
    }

    /// <summary>A task that ends with the next try of the package that ends after this call.</summary>
    public Task<SyncAttempt> NextAttemptAsync(PackageName name) =>
        _awaited.GetOrAdd(name, _ => new Awaited(MirrorChain.Current)).Task;

    /// <summary>Works until cancelled; tries that have begun are finished or given back.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var placesMax = options.Concurrency * PlacesPerRequest;
        using var places = new SemaphoreSlim(placesMax);
        try
        {
            await FillAsync(places, cancellationToken);
        }
        finally
        {
            for (var empty = 0; empty < placesMax; empty++)
            {
                await places.WaitAsync(CancellationToken.None);
            }
        }
    }

    /// <summary>Works until nothing is due and nothing is in flight; postponed items stay queued.</summary>
    /// <param name="cancellationToken">Stops early.</param>
    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        using var done = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = RunAsync(done.Token);
        try
        {
            while (!running.IsCompleted)
            {
                // In this order: an item that is taken between the two is in flight before it is due no more.
                if ((await store.Queue.NextDueAsync(cancellationToken) is not { } due || due > time.GetUtcNow()) && InFlight == 0)
                {
                    break;
                }

                await Task.Delay(TimeSpan.FromMilliseconds(20), time, cancellationToken);
            }
        }
        finally
        {
            // The workers end by themselves, and give back their items.
            await done.CancelAsync();
            await running;
        }
    }

    /// <summary>Tries each of these that is queued and due, once; items of another process are left to it.</summary>
    /// <param name="names">The packages.</param>
    /// <param name="cancellationToken">Stops early; tries that have begun are finished or given back.</param>
    public Task DrainAsync(IReadOnlyCollection<PackageName> names, CancellationToken cancellationToken) => Parallel.ForEachAsync(
        names,
        // They go ahead of the queue's own requests, so their number is limited here.
        new ParallelOptions { MaxDegreeOfParallelism = options.Concurrency, CancellationToken = cancellationToken },
        async (name, token) =>
        {
            if (await store.Queue.FindQueuedAsync(name, token) is { } item && item.DueAt <= time.GetUtcNow())
            {
                await TryNowAsync(name, token);
            }
        });

    /// <summary>Tries one queued package now, ahead of the workers; null when there is no item or another has it.</summary>
    public async Task<SyncAttempt?> TryNowAsync(PackageName name, CancellationToken cancellationToken)
    {
        var lease = await store.Queue.TakeAsync(name, LeaseRenewal.LeaseDuration, cancellationToken);
        return lease is null ? null : await TryAsync(lease, cancellationToken);
    }

    /// <summary>Notes that a package was brought up to date outside the queue: its earlier failure counts no more.</summary>
    internal async Task NoteMendedAsync(PackageName name, SyncResult result, CancellationToken cancellationToken)
    {
        var rev = (result as SyncResult.Stored)?.Row.Facts.Rev ?? (result as SyncResult.Unchanged)?.Row.Facts.Rev;
        if (await store.Queue.FindQueuedAsync(name, cancellationToken) is not { LastError: not null } failing)
        {
            await _return.ForgetAsync(name, cancellationToken);
        }
        else if (!failing.IsDeletedRow && (failing.WantedRev is null || !failing.IsWantedBeyond(rev)) && await store.Queue.TakeAsync(name, LeaseRenewal.LeaseDuration, cancellationToken) is { } lease)
        {
            await _return.GiveBackAsync(lease, result);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _return.Dispose();

    private async Task FillAsync(SemaphoreSlim places, CancellationToken cancellationToken)
    {
        var trouble = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), Random.Shared);
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                var taken = await TakeAsync(places, cancellationToken);
                trouble.Reset();
                await MeasureAsync(cancellationToken);
                if (taken == 0)
                {
                    await SleepAsync(cancellationToken);
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (MirrorException e)
            {
                // The store itself: nothing can be taken.
                LogTrouble(e);
                await PauseAsync(trouble.Next(e.RetryAfter), cancellationToken);
            }
        }
    }

    /// <summary>Takes as many as there are empty places; returns how many there were.</summary>
    private async Task<int> TakeAsync(SemaphoreSlim places, CancellationToken cancellationToken)
    {
        await places.WaitAsync(cancellationToken);
        Interlocked.Increment(ref _inFlight);
        var empty = 1;
        while (empty < TakeMax && await places.WaitAsync(0, CancellationToken.None))
        {
            empty++;
        }

        var taken = 0;
        try
        {
            foreach (var lease in await store.Queue.TakeAsync(empty, LeaseRenewal.LeaseDuration, cancellationToken))
            {
                Interlocked.Increment(ref _inFlight);
                taken++;
                _ = WorkAsync(lease, places, cancellationToken);
            }
        }
        finally
        {
            if (taken < empty)
            {
                places.Release(empty - taken);
            }

            Interlocked.Decrement(ref _inFlight);
        }

        return taken;
    }

    /// <summary>Works on one item and gives its place back; never fails.</summary>
    private async Task WorkAsync(QueueLease lease, SemaphoreSlim places, CancellationToken cancellationToken)
    {
        try
        {
            await TryAsync(lease, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Given back.
        }
        catch (MirrorException e)
        {
            // The store itself: nothing can be given back. The lease expires by itself.
            LogTrouble(e);
        }
        finally
        {
            Interlocked.Decrement(ref _inFlight);
            places.Release();
        }
    }

    private void LogTrouble(MirrorException e)
    {
        if (e.Fault != MirrorFault.StoreReadOnly)
        {
            // WritableWatch tells once that nothing can be written, not for every package.
            LogQueueTrouble(e.Message);
        }
    }

    private async Task<SyncAttempt> TryAsync(QueueLease lease, CancellationToken cancellationToken)
    {
        var attempt = await AttemptAsync(lease, cancellationToken);
        _metrics.Count(attempt);
        try
        {
            // Listeners first: later news of a waiter covers theirs.
            await _listeners.TellAsync(attempt, cancellationToken);
        }
        finally
        {
            if (_awaited.TryRemove(lease.Item.Name, out var awaited))
            {
                awaited.TrySetResult(attempt);
            }
        }

        return attempt;
    }

    private async Task<SyncAttempt> AttemptAsync(QueueLease lease, CancellationToken cancellationToken)
    {
        var item = lease.Item;

        // Fetch under the waiting client's mirror chain, so that loops are detected.
        MirrorChain.Current = _awaited.GetValueOrDefault(item.Name)?.Chain ?? MirrorChain.Current;
        await using var renewal = new LeaseRenewal(store.Queue, lease, time);
        try
        {
            var result = await sync.SyncAsync(item.Name, item, cancellationToken);
            CrashPoint.Hit(CrashPoint.AfterCommitBeforeComplete);

            // Also if the process is to end now: the next would fetch a stored package again that is left in the queue.
            await _return.GiveBackAsync(lease, result);
            return new SyncAttempt(item, result, null, result.RetryBecause is null);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await store.Queue.PostponeAsync(lease, new QueuePostponement(time.GetUtcNow(), item.LastError, item.MissingSince), CancellationToken.None);
            throw;
        }
        catch (MirrorException e)
        {
            return await _return.PostponeAsync(lease, e, cancellationToken);
        }
        catch (Exception e)
        {
            // The loop's edge: a failure of one package must not stop the others.
            LogUnexpected(e, item.Name);
            var failure = new MirrorException(MirrorFault.UpstreamMalformed, $"{item.Name} could not be handled ({e.GetType().Name}: {e.Message}); please report it.", inner: e);
            return await _return.PostponeAsync(lease, failure, cancellationToken);
        }
    }

    private async ValueTask MeasureAsync(CancellationToken cancellationToken)
    {
        if (!(_measuredAt is { } at && time.GetElapsedTime(at) < LongestSleep))
        {
            _measuredAt = time.GetTimestamp();
            _metrics.Depth.Record((await store.CountAsync(cancellationToken)).Queued);
        }
    }

    private async Task SleepAsync(CancellationToken cancellationToken)
    {
        var due = await store.Queue.NextDueAsync(cancellationToken);
        var sleep = due is null ? LongestSleep : due.Value - time.GetUtcNow();
        if (sleep > TimeSpan.Zero)
        {
            await PauseAsync(sleep < LongestSleep ? sleep : LongestSleep, cancellationToken);
        }
    }

    private async Task PauseAsync(TimeSpan pause, CancellationToken cancellationToken)
    {
        using var pausing = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var timer = Task.Delay(pause, time, pausing.Token);
        var woken = _wake.Reader.ReadAsync(pausing.Token).AsTask();
        await Task.WhenAny(timer, woken);
        await pausing.CancelAsync();
        await Task.WhenAny(woken);
    }

    /// <summary>The next try of a package, and the mirror chain of the first client that waits for it.</summary>
    private sealed class Awaited(MirrorChain? chain) : TaskCompletionSource<SyncAttempt>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public MirrorChain? Chain => chain;
    }

    [LoggerMessage(EventIds.Mirror + 7, LogLevel.Error, "Package {Package} failed unexpectedly; please report it")]
    private partial void LogUnexpected(Exception exception, PackageName package);

    [LoggerMessage(EventIds.Mirror + 5, LogLevel.Warning, "The queue cannot be processed: {Reason}")]
    private partial void LogQueueTrouble(string reason);
}
