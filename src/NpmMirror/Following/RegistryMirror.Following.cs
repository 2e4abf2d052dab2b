using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Notes;
using NpmMirror.Upstream;

namespace NpmMirror.Following;

/// <content>Follows the feed as long as the mirror runs, or does the work of a mirror without a feed.</content>
internal sealed partial class RegistryMirror
{
    private const string NoFeed = "none";

    /// <summary>
    /// How long a start may take to find its feed. Until then, nothing that is held is asked for by its age: each first request after a restart
    /// would ask the upstream for changes that the feed tells a moment later.
    /// </summary>
    private static readonly TimeSpan FirstLook = TimeSpan.FromSeconds(5);

    private long _startedAt;

    /// <summary>The monitor found that the feed was reset, and everything was not compared since.</summary>
    private bool _isFeedReset;

    /// <summary>While the connection is down nothing tells of changes: then age counts.</summary>
    internal bool IsFollowed => Monitor.IsConnected || _leadership is { IsFollowedByAnother: true } || (FeedLocation != NoFeed && _time.GetElapsedTime(_startedAt) < FirstLook);

    /// <summary>Follows while this node leads; on a store of one node, always.</summary>
    private Task FollowAsync(MonitorRun run, Sequence? given) => _leadership is null ? LeadAsync(run, given) : _leadership.RunAsync(
        async token =>
        {
            using var part = run.Until(token);
            await LeadAsync(part, given);
            given = null;
        },
        run.Stopping);

    /// <summary>Finds the feed and follows it; while it cannot be found, asks again. Held packages are served all along.</summary>
    /// <param name="run">The monitor's run.</param>
    /// <param name="given">An operator's place to begin; null: the store's.</param>
    private async Task LeadAsync(MonitorRun run, Sequence? given)
    {
        var trouble = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1), Random.Shared);
        while (!run.IsOver)
        {
            try
            {
                if (await FindFeedAsync(run.Stopping) is not { } feed)
                {
                    FeedLocation = NoFeed;
                    await SweepAsync(run.Stopping);
                    // Packages that clients bring are told until the monitor is stopped.
                    await Task.Delay(Timeout.InfiniteTimeSpan, _time, run.Stopping);
                    return;
                }

                var start = await BeginAsync(feed, given, run.Stopping);
                var isGiven = given is not null && !start.NeedsWalk;
                // The store has it now: after a later failure following goes on there, and does not begin anew.
                given = null;
                // It returns when the feed was reset: then everything is compared before following goes on.
                await FollowFeedAsync(feed, start, isGiven, run);
            }
            catch (OperationCanceledException) when (run.IsOver)
            {
                return;
            }
            catch (Exception e)
            {
                // The loop's edge: held packages are served whatever the first look at an upstream brings.
                var pause = trouble.Next((e as MirrorException)?.RetryAfter);
                LogNotFollowing(e is MirrorException ? null : e, pause, e.Message);
                await Monitor.TellAsync(new MonitorEvent.Failed(e, null), CancellationToken.None);
                await PauseAsync(pause, run.Stopping);
            }
        }
    }

    /// <summary>Makes sure where following begins, and that the store knows it.</summary>
    private async Task<FeedStart.Start> BeginAsync(IChangeFeed feed, Sequence? given, CancellationToken cancellationToken)
    {
        FeedLocation = feed.Location;
        var start = await new FeedStart(_store.Notes, _known).FindAsync(feed, _isFeedReset, given, cancellationToken);
        if (start.NeedsWalk)
        {
            await SeedAsync(feed, start.Info.Head, cancellationToken);
            _isFeedReset = false;
        }
        else if (given is null && await _store.Notes.FindNoteAsync(MirrorCursors.Scope, cancellationToken) != _scope.Fingerprint)
        {
            await QueueNewlyWantedAsync(feed, cancellationToken);
        }

        await start.NoteAsync(_store.Notes, feed, _known.Identity.ToString(), isGiven: given is not null, cancellationToken);
        return start;
    }

    private async Task FollowFeedAsync(IChangeFeed feed, FeedStart.Start start, bool isGiven, MonitorRun run)
    {
        var handler = new QueueingHandler(_store, _queue, _news, _scope, _known, start.Info.IsMirror, _time);
        using var following = CancellationTokenSource.CreateLinkedTokenSource(run.Stopping);
        var reconciling = _schedule.RunAsync(token => ReconcileAsync(feed, token), following.Token);
        try
        {
            _isFeedReset = await Monitor.FollowAsync(feed, handler, start.Info.DatabaseId, run, start.NeedsWalk ? start.Info.Head : start.Since, isGiven);
        }
        finally
        {
            await following.CancelAsync();
            await reconciling;
        }
    }

    /// <summary>
    /// Without a feed: a start fetches only the packages that are wanted ahead and not held yet. Held ones are compared on request and, if configured,
    /// at an interval: a restart must not ask the upstream for everything.
    /// </summary>
    private async Task SweepAsync(CancellationToken cancellationToken)
    {
        if (NeedsList)
        {
            await ReconcileAsync(null, cancellationToken);
        }

        await _named.QueueMissingAsync(_scope.Names, cancellationToken);
        await NoteScopeAsync(cancellationToken);
        while (_options.Revalidate is { } interval)
        {
            await Task.Delay(interval, _time, cancellationToken);
            await QueueWithoutFeedAsync(cancellationToken);
        }
    }

    [LoggerMessage(EventIds.Mirror + 11, LogLevel.Warning, "Not following yet, next try in {Pause}; what is held is served: {Reason}")]
    private partial void LogNotFollowing(Exception? unexpected, TimeSpan pause, string reason);
}
