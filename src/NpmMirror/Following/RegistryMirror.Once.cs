using NpmMirror.Feeds;
using NpmMirror.Notes;
using NpmMirror.Syncing;
using NpmMirror.Upstream;

namespace NpmMirror.Following;

/// <content>The work of commands that run once and end: there is no outer loop to try again.</content>
internal sealed partial class RegistryMirror
{
    /// <summary>
    /// Catches up once: queues the packages that the mode wants, or the given ones, and works until no soon retry could mend anything more.
    /// Not while the mirror runs in this process; two processes share the queue.
    /// </summary>
    /// <param name="packages">The packages to bring up to date, and nothing else that is queued; empty: all that the mode wants.</param>
    /// <param name="progress">Told several times a second.</param>
    /// <param name="cancellationToken">Stops; the queue keeps what is left.</param>
    /// <exception cref="MirrorException">The upstream's list cannot be read, or the mode needs one and there is none.</exception>
    public Task<SyncSummary> SyncOnceAsync(IReadOnlyList<PackageName> packages, IProgress<SyncProgress>? progress, CancellationToken cancellationToken) =>
        CatchUpAsync(
            async catchUp =>
            {
                if (packages.Count > 0)
                {
                    await catchUp.ExpectAsync(packages, cancellationToken);
                    await _named.QueueDemandedAsync(packages, cancellationToken);
                }
                else
                {
                    catchUp.Want(_scope.Names);
                    await QueueEverythingAsync(cancellationToken);
                }
            },
            progress,
            cancellationToken);

    /// <summary>
    /// Compares everything held with everything the upstream lists, queues the differences and works as <see cref="SyncOnceAsync"/> does. A
    /// vanished package is asked for once; a running mirror confirms its removal minutes later.
    /// </summary>
    /// <param name="cancellationToken">Stops; the queue keeps what is left.</param>
    /// <exception cref="MirrorException">The upstream has no list, or it cannot be read.</exception>
    public async Task<(Reconciliation Found, SyncSummary Mended)> ReconcileOnceAsync(CancellationToken cancellationToken)
    {
        var found = default(Reconciliation);
        var mended = await CatchUpAsync(async _ => found = await ReconcileAsync(await FindFeedOnceAsync(cancellationToken), cancellationToken), null, cancellationToken);
        return (found!, mended);
    }

    private async Task<SyncSummary> CatchUpAsync(Func<CatchUp, Task> queue, IProgress<SyncProgress>? progress, CancellationToken cancellationToken)
    {
        if (_options.Offline)
        {
            throw UpstreamFailures.Offline();
        }

        await RecallUpstreamAsync(cancellationToken);
        NoteFeedSought();
        var catchUp = new CatchUp(_store, _queue, _time);
        using var counting = _queue.OnAttempt((attempt, _) =>
        {
            catchUp.Count(attempt);
            return ValueTask.CompletedTask;
        });
        await queue(catchUp);
        var summary = await catchUp.RunAsync(progress, cancellationToken);
        await _store.Log.NumberEventsAsync(cancellationToken);
        return summary;
    }

    /// <summary>Queues all that the mode wants; with a feed its head is noted first, so that a follower goes on from there.</summary>
    private async Task QueueEverythingAsync(CancellationToken cancellationToken)
    {
        var feed = await FindFeedOnceAsync(cancellationToken);
        if (feed is null)
        {
            await QueueWithoutFeedAsync(cancellationToken);
            return;
        }

        var info = await AskAsync(feed, cancellationToken);
        await SeedAsync(feed, info.Head, cancellationToken);
    }

    private Task<IChangeFeed?> FindFeedOnceAsync(CancellationToken cancellationToken) =>
        _upstream.NewRetry().RunAsync(() => FindFeedAsync(cancellationToken), cancellationToken);

    private Task<FeedInfo> AskAsync(IChangeFeed feed, CancellationToken cancellationToken) =>
        _upstream.NewRetry().RunAsync(() => new FeedStart(_store.Notes, _known).AskAsync(feed, cancellationToken), cancellationToken);
}
