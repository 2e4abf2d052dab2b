using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Monitoring;
using NpmMirror.Upstream;

namespace NpmMirror.Mirroring;

/// <content>Following the feed as long as the mirror runs, and what is done where there is none.</content>
public sealed partial class RegistryMirror
{
    private const string NoFeed = "none";

    /// <summary>
    /// How long a start may take to find its feed. Until it has, nothing that is held is asked for by its age: each first request after a restart
    /// would ask the upstream what the feed tells a moment later.
    /// </summary>
    private static readonly TimeSpan FirstLook = TimeSpan.FromSeconds(5);

    private long _startedAt;

    /// <summary>The monitor found that the feed was reset, and everything was not compared since.</summary>
    private bool _isFeedReset;

    /// <summary>While the connection is down nothing tells of changes: then age counts.</summary>
    private bool IsFollowed => Monitor is { IsConnected: true } || (FeedLocation != NoFeed && _time.GetElapsedTime(_startedAt) < FirstLook);

    /// <summary>Finds the feed and follows it; while it cannot be found, asks again. What is held is served all along.</summary>
    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        var trouble = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1), Random.Shared);
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                if (await FindFeedAsync(cancellationToken) is not { } feed)
                {
                    FeedLocation = NoFeed;
                    await SweepAsync(cancellationToken);
                    return;
                }

                // Comes back when the feed was reset: then everything is compared before following goes on.
                await FollowFeedAsync(feed, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // The loop's edge: what is held is served, whatever a look at the upstream brings.
                var pause = trouble.Next((e as MirrorException)?.RetryAfter);
                LogNotFollowing(e is MirrorException ? null : e, pause, e.Message);
                await PauseAsync(pause, cancellationToken);
            }
        }
    }

    private async Task FollowFeedAsync(IChangeFeed feed, CancellationToken cancellationToken)
    {
        FeedLocation = feed.Location;
        var start = await new FeedStart(_store, _upstream, _options).FindAsync(feed, _isFeedReset, cancellationToken);
        if (start.NeedsWalk)
        {
            await SeedAsync(feed, start.Info.Head, cancellationToken);
            _isFeedReset = false;
        }
        else if (_options.LastSeq is null && await _store.GetCursorAsync(MirrorCursors.Scope, cancellationToken) != _scope.Fingerprint)
        {
            await QueueNewlyWantedAsync(feed, cancellationToken);
        }

        await start.NoteAsync(_store, feed, _upstream.Identity, cancellationToken);
        var handler = new QueueingHandler(_store, _queue, _readThrough, _scope, _upstream, start.Info.IsMirror, _time);
        await using var monitor = new RegistryMonitor(feed, handler, _options, start.Info.DatabaseId, _time, _loggers.CreateLogger("NpmMirror.Monitor"));
        Monitor = monitor;
        using var following = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reconciling = _schedule.RunAsync(token => ReconcileAsync(feed, token), following.Token);
        try
        {
            monitor.Start(start.NeedsWalk ? start.Info.Head : start.Since);
            while (!cancellationToken.IsCancellationRequested && !monitor.IsFeedReset)
            {
                await PauseAsync(TimeSpan.FromSeconds(1), cancellationToken);
            }
        }
        finally
        {
            _isFeedReset = monitor.IsFeedReset;
            await following.CancelAsync();
            await monitor.StopAsync(CancellationToken.None);
            await reconciling;
        }
    }

    /// <summary>
    /// Without a feed: at start only what is wanted ahead and not held yet. What is held is compared when it is asked for and, where wanted,
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

    [LoggerMessage(EventIds.Mirroring + 11, LogLevel.Warning, "Not following yet, next try in {Pause}; what is held is served: {Reason}")]
    private partial void LogNotFollowing(Exception? unexpected, TimeSpan pause, string reason);
}
