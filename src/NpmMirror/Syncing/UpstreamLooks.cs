using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>
/// Compares packages that are held with the upstream, for readers: one look at a package at a time, however many wait for it. A look belongs
/// to no reader, so that one that leaves does not end it.
/// </summary>
internal sealed partial class UpstreamLooks(PackageSync sync, SyncQueue queue, Freshness freshness, MirrorOptions options, TimeProvider time, ILogger logger, Meter? meter) : IAsyncDisposable
{
    private const int LooksPerRequest = 16;
    private const int PastCachesMax = 64;

    private static readonly TimeSpan DoubtPause = TimeSpan.FromMinutes(1);

    // The result of a look is the trouble that it had, or null.
    private readonly SingleFlight<PackageName, MirrorException?> _looks = new("looks", options.Concurrency * LooksPerRequest, time, meter);
    private readonly CancellationTokenSource _stopping = new();

    // Strangers choose packages that are not held: their looks leave most of the requests for waiting clients to others. Some dozens that hang must not stop the next.
    private readonly SemaphoreSlim _pastCaches = new(PastCachesMax);

    /// <summary>The look at a package that is under way, or null.</summary>
    public Flight<MirrorException?>? Find(PackageName name) => _looks.Find(name);

    /// <summary>How many looks take longer than this already.</summary>
    public int CountSlow(TimeSpan wait) => _looks.Underway.Count(look => time.GetElapsedTime(look.BegunAt) >= wait);

    /// <summary>Begins a look, or joins the one that is under way; null when there are too many, and when this process is to end.</summary>
    /// <param name="name">The package.</param>
    /// <param name="isPastCaches">Whether the answer of a cache on the way does not count. A look that was begun before keeps its own way.</param>
    public Flight<MirrorException?>? Begin(PackageName name, bool isPastCaches = false) =>
        _stopping.IsCancellationRequested ? null : _looks.TryJoin(name, () => LookAsync(name, isPastCaches));

    /// <summary>Ends the looks.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _looks.WaitForLastAsync();
    }

    private async Task<MirrorException?> LookAsync(PackageName name, bool isPastCaches)
    {
        try
        {
            await CompareAsync(name, isPastCaches);
            return null;
        }
        catch (MirrorException e)
        {
            // The held document is served: an upstream that is down is asked once per time to live and package, not once per request.
            freshness.NoteTrouble(name);
            LogNotCompared(name, e.Message);
            return e;
        }
        catch (OperationCanceledException e) when (_stopping.IsCancellationRequested)
        {
            return new MirrorException(MirrorFault.StoreUnavailable, "This mirror is shutting down; ask again.", isTransient: true, inner: e);
        }
        catch (Exception e)
        {
            // The task's edge: an unexpected failure of one package must not leave its readers waiting.
            freshness.NoteTrouble(name);
            LogUnexpected(e, name);
            return new MirrorException(MirrorFault.UpstreamMalformed, $"{name} could not be compared with the upstream ({e.GetType().Name}: {e.Message}); please report it.", inner: e);
        }
    }

    private async Task CompareAsync(PackageName name, bool isPastCaches)
    {
        var result = isPastCaches ? await ComparePastCachesAsync(name) : await sync.SyncAsync(name, null, _stopping.Token);
        if (result.RetryBecause is not null)
        {
            // Not to be believed yet: the queue asks again, and remembers since when.
            var wanted = result is SyncResult.Unchanged unchanged && result.MissingSince is null ? unchanged.Row.Facts.Rev : null;
            var now = time.GetUtcNow();
            var item = new QueueItem { Name = name, Priority = QueuePriority.Change, WantedRev = wanted, MissingSince = result.MissingSince, DueAt = now + DoubtPause, QueuedAt = now };
            await queue.EnqueueAsync([item], null, _stopping.Token);
            return;
        }

        await queue.NoteMendedAsync(name, result, _stopping.Token);
    }

    private async Task<SyncResult> ComparePastCachesAsync(PackageName name)
    {
        await _pastCaches.WaitAsync(_stopping.Token);
        try
        {
            return await sync.SyncPastCachesAsync(name, _stopping.Token);
        }
        finally
        {
            _pastCaches.Release();
        }
    }

    [LoggerMessage(EventIds.Mirror + 6, LogLevel.Debug, "Package {Package} could not be compared with the upstream and is served as held: {Reason}")]
    private partial void LogNotCompared(PackageName package, string reason);

    [LoggerMessage(EventIds.Mirror + 16, LogLevel.Error, "The comparison of package {Package} with the upstream failed unexpectedly; please report it")]
    private partial void LogUnexpected(Exception exception, PackageName package);
}
