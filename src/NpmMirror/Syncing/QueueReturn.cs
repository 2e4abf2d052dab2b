using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Syncing;

/// <summary>Ends a try of a queued package: it leaves the queue, is tried again later, or is given up.</summary>
internal sealed partial class QueueReturn(IQueueTable queue, INoteTable notes, TimeProvider time, ILogger logger) : IDisposable
{
    private const int WishAttemptsMax = 3;

    private readonly GivenUpPackages _givenUp = new(notes, time, logger);

    /// <inheritdoc/>
    public void Dispose() => _givenUp.Dispose();

    /// <summary>Forgets that a package was given up.</summary>
    internal ValueTask ForgetAsync(PackageName name, CancellationToken cancellationToken) => _givenUp.ForgetAsync(name, cancellationToken);

    /// <summary>After an answer. Finished also if the process is to end: else the next process would ask for the same answer again.</summary>
    internal async Task GiveBackAsync(QueueLease lease, SyncResult result)
    {
        if (result.RetryBecause is null)
        {
            var rev = result switch
            {
                SyncResult.Stored stored => stored.Row.Facts.Rev,
                SyncResult.Unchanged unchanged => unchanged.Row.Facts.Rev,
                _ => null,
            };
            await NoteAnswerAsync(lease.Item, result, rev);
            await queue.CompleteAsync(lease, rev, CancellationToken.None);
            return;
        }

        var due = time.GetUtcNow() + PauseAfter(lease.Item.Attempts, null);
        await queue.PostponeAsync(lease, new QueuePostponement(due, result.RetryBecause, result.MissingSince), CancellationToken.None);
    }

    /// <summary>After a failure.</summary>
    internal async Task<SyncAttempt> PostponeAsync(QueueLease lease, MirrorException error, CancellationToken cancellationToken)
    {
        var item = lease.Item;

        // A package that only a client asked for is dropped soon: the client asks again, and names of no package would pile up. Any other failure that
        // repeats for a day is given up until the feed names the package again; the held document is still served.
        var isOnlyWish = item is { Priority: QueuePriority.ReadThrough, WantedRev: null } && item.Attempts + 1 >= WishAttemptsMax;
        if (isOnlyWish || (!error.IsTransient && PackageSync.IsDoubtOver(item, time.GetUtcNow())))
        {
            if (isOnlyWish)
            {
                LogWishDropped(item.Name, item.Attempts + 1, error.Message);
            }
            else
            {
                await _givenUp.AddAsync(item.Name, item.Attempts + 1, error.Message, cancellationToken);
            }

            await queue.CompleteAsync(lease, item.WantedRev, cancellationToken);
            return new SyncAttempt(item, null, error, true);
        }

        var pause = PauseAfter(item.Attempts, error.RetryAfter);
        LogFailed(item.Name, item.Attempts + 1, pause, error.Message);
        await queue.PostponeAsync(lease, new QueuePostponement(time.GetUtcNow() + pause, error.Message, item.MissingSince), cancellationToken);
        return new SyncAttempt(item, null, error, false);
    }

    /// <summary>A rev that never came is given up too: the upstream's document is believed.</summary>
    private async ValueTask NoteAnswerAsync(QueueItem item, SyncResult result, string? rev)
    {
        if (item.WantedRev is { } wanted && rev is not null && result is not SyncResult.Unchanged { Row.Facts.IsRemoved: true } && new Revision(rev).IsBefore(new Revision(wanted)))
        {
            await _givenUp.AddAsync(item.Name, item.Attempts + 1, $"the feed spoke of rev {wanted}, and a day later the upstream still sends {rev}", CancellationToken.None);
            return;
        }

        await _givenUp.ForgetAsync(item.Name, CancellationToken.None);
    }

    /// <summary>1, 2, 4, 8 … seconds, then minutes; jittered, and at least the upstream's Retry-After.</summary>
    private static TimeSpan PauseAfter(int attempts, TimeSpan? retryAfter) =>
        new Backoff(TimeSpan.FromSeconds(1), StoredMoments.LongestPause, Random.Shared) { Failures = attempts }.Next(retryAfter);

    [LoggerMessage(EventIds.Mirror + 3, LogLevel.Debug, "Package {Package} failed {Attempt} times; next try in {Pause}: {Reason}")]
    private partial void LogFailed(PackageName package, int attempt, TimeSpan pause, string reason);

    [LoggerMessage(EventIds.Mirror + 8, LogLevel.Information, "Package {Package} could not be fetched in {Attempt} tries; the next client that asks starts anew: {Reason}")]
    private partial void LogWishDropped(PackageName package, int attempt, string reason);
}
