using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Upstream;

namespace NpmMirror.Following;

/// <summary>The loop of a monitor: asks the feed, has each page handled, moves on, and after any failure tries again.</summary>
internal sealed partial class FeedFollower
{
    /// <summary>The number of newest rows that a follower without a comparison looks at after a reset of the feed.</summary>
    private const int RowsAfterReset = 1_000;

    private readonly IChangeFeed _feed;
    private readonly IChangeHandler _handler;
    private readonly MonitorOptions _options;
    private readonly MonitorDelay _delay;
    private readonly Func<MonitorEvent, CancellationToken, ValueTask> _tell;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly FollowingMetrics _metrics;
    private readonly ResetWatch _watch;
    private readonly FeedProgress _progress;
    private readonly Lock _lock = new();
    private Sequence? _lastSequence;
    private volatile bool _isConnected;
    private volatile bool _isFeedReset;

    internal FeedFollower(
        IChangeFeed feed,
        IChangeHandler handler,
        MonitorOptions options,
        MonitorDelay delay,
        Func<MonitorEvent, CancellationToken, ValueTask> tell,
        FollowingMetrics metrics,
        TimeProvider time,
        ILogger logger)
    {
        _feed = feed;
        _handler = handler;
        _options = options;
        _delay = delay;
        _tell = tell;
        _time = time;
        _logger = logger;
        _metrics = metrics;
        _watch = new ResetWatch(feed, time, logger);
        _progress = new FeedProgress(delay, time);
    }

    internal bool IsConnected
    {
        get => _isConnected;
        private set => _isConnected = value;
    }

    internal bool IsFeedReset
    {
        get => _isFeedReset;
        private set => _isFeedReset = value;
    }

    internal Sequence? LastSequence
    {
        get
        {
            lock (_lock)
            {
                return _lastSequence;
            }
        }

        private set
        {
            lock (_lock)
            {
                _lastSequence = value;
            }
        }
    }

    /// <summary>Follows until the run is stopped, or the feed was reset and that is to end it.</summary>
    /// <param name="run">The run.</param>
    /// <param name="since">The last handled sequence; null: the head.</param>
    /// <param name="isGiven">Whether an operator gave the sequence, so that the feed need not know it.</param>
    internal async Task RunAsync(MonitorRun run, Sequence? since, bool isGiven)
    {
        var trouble = new Backoff(_options.FirstRetry, _options.LongestRetry, Random.Shared);
        try
        {
            var place = new FeedPlace { Cursor = since, DatabaseId = _options.DatabaseId, IsGiven = isGiven };
            var late = new LateRowSearch(_feed, _handler, _options.Windows, _tell, _metrics, _time, _logger) { KeepsReceipts = !_options.EndsAtReset };
            while (!run.IsOver && !IsFeedReset)
            {
                try
                {
                    await ReadOnceAsync(run, place, late, trouble);
                }
                catch (OperationCanceledException) when (run.IsOver)
                {
                }
                catch (Exception exception)
                {
                    // The loop's edge: following goes on after any failure of a feed, a handler or an upstream.
                    IsConnected = false;
                    place.CheckedAt = null;
                    if (exception is MirrorException { Fault: MirrorFault.BadInput } && !place.IsGiven)
                    {
                        place.Refused = (place.Refused.Times + 1, exception.Message);
                    }

                    var pause = trouble.Next((exception as MirrorException)?.RetryAfter);
                    LogFailed(pause, exception.Message);
                    _metrics.Failures.Add(1);
                    late.MeasureLag();
                    await _tell(new MonitorEvent.Failed(exception, null), CancellationToken.None);
                    await PauseAsync(run, pause);
                }
            }
        }
        finally
        {
            IsConnected = false;
        }
    }

    /// <summary>One request for changes: where to begin is made sure, the pages are handled, and at the head comes the wait.</summary>
    private async Task ReadOnceAsync(MonitorRun run, FeedPlace place, LateRowSearch late, Backoff trouble)
    {
        if (place.MustCheck(_time) && !await CheckAsync(run, place, late))
        {
            return;
        }

        if (place.IsAfterReset)
        {
            await TellNewestAsync(run, place, late);
        }

        var cursor = place.Cursor!.Value;
        await _tell(new MonitorEvent.Polled(cursor), run.Stopping);
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(run.Stopping);
        var watching = WatchAsync(place, await late.FindLandmarksAsync(run.Stopping), reading);
        var isAtHead = true;
        _progress.Begin();
        try
        {
            await foreach (var read in _feed.ReadAsync(cursor, () => Accept(run), reading.Token))
            {
                await run.Notices;
                var before = place.Cursor.Value;
                var page = _progress.WithoutKnown(read, before, place.Head);
                isAtHead = page.IsAtHead;
                await HandleAsync(page, place, run);
                _progress.Note(page, before);
                await late.NoteAsync(page, run.Stopping);
                // Only now: a page that cannot be handled is tried again ever more slowly.
                trouble.Reset();
            }
        }
        catch (OperationCanceledException) when (place.Found is not null && !run.IsOver)
        {
            // The awaited change will never come: the next look begins anew.
            return;
        }
        finally
        {
            await reading.CancelAsync();
            await watching;
        }

        if (isAtHead)
        {
            await late.LookAsync(place.Cursor.Value, run.Stopping);
            await _delay.WaitAsync(_feed.IdleDelay, run.Stopping);
        }

        await _progress.WaitAsync(isAtHead, _feed.IdleDelay, run.Stopping);
    }

    /// <summary>Ends the read when the feed it comes from turns out to have been reset.</summary>
    private async Task WatchAsync(FeedPlace place, Landmarks landmarks, CancellationTokenSource reading)
    {
        try
        {
            place.Found = await _watch.FindResetAsync(() => LastSequence, place.DatabaseId, landmarks, reading.Token);
            await reading.CancelAsync();
        }
        catch (OperationCanceledException)
        {
            // The read has ended.
        }
    }

    private void Accept(MonitorRun run)
    {
        IsConnected = true;
        if (run.TryAccept())
        {
            LogStarted(_feed.Location);
            run.Note(_tell(new MonitorEvent.Started(), CancellationToken.None));
        }
    }

    private async Task HandleAsync(ChangesPage page, FeedPlace place, MonitorRun run)
    {
        place.Refused = default;
        place.IsGiven = false;
        foreach (var skipped in page.Skipped)
        {
            LogSkipped(skipped);
            await _tell(new MonitorEvent.Failed(new MirrorException(MirrorFault.UpstreamMalformed, skipped), null), run.Stopping);
        }

        if (page.Rows.Count == 0 && page.LastSequence == place.Cursor)
        {
            return;
        }

        if (place.Cursor is { } before && page.LastSequence.IsBefore(before) && !place.IsBelieved)
        {
            place.IsDoubted = true;
            throw new MirrorException(
                MirrorFault.UpstreamMalformed,
                $"Asked for rows after {MirrorException.Quote(place.Cursor.Value.Text)}, the feed at {_feed.Location} ends at {MirrorException.Quote(page.LastSequence.Text)}.",
                isTransient: true);
        }

        await _handler.HandleAsync(page, _tell, run.Stopping);
        place.Cursor = page.LastSequence;
        place.IsBelieved = false;
        LastSequence = page.LastSequence;
        await _tell(new MonitorEvent.Revised(page.LastSequence, page.Rows.Count), run.Stopping);
    }

    /// <summary>Finds the head if no start is given, and detects a feed that was replaced. False: ended.</summary>
    private async Task<bool> CheckAsync(MonitorRun run, FeedPlace place, LateRowSearch late)
    {
        var look = place.Found ?? await _watch.LookAsync(place, await late.FindLandmarksAsync(run.Stopping), run.Stopping);
        place.Found = null;
        var info = look.Info;
        place.CheckedAt = _time.GetTimestamp();
        place.DatabaseId = info.DatabaseId;
        place.Head = info.Head;
        if (look.ResetBecause is { } reason)
        {
            LogReset(_feed.Location, reason);
            var isBeyond = place is { IsGiven: true, Cursor: { } given } && info.IsBefore(given);
            await _tell(new MonitorEvent.Failed(isBeyond ? BeyondHead(info, place.Cursor!.Value) : new MirrorException(MirrorFault.UpstreamMalformed, Reset(reason)), null), run.Stopping);
            if (_options.EndsAtReset)
            {
                IsFeedReset = true;
                return false;
            }

            place.Cursor = info.Head;
            place.IsGiven = false;
            place.Refused = default;
            place.IsAfterReset = true;
        }

        // If numbers are exact such a page is wrong; a cluster's node that lags may send one: its rows are told twice at worst.
        place.IsBelieved = place.IsDoubted && place.Cursor is { } cursor && !info.IsExact(cursor);
        place.IsDoubted = false;
        place.IsGiven &= place.Cursor is not null;
        place.Cursor ??= info.Head;
        LastSequence = place.Cursor;
        await late.NoteHeadAsync(info.Head, place.Cursor.Value, run.Stopping);
        return true;
    }

    private MirrorException BeyondHead(FeedInfo info, Sequence given) => new(
        MirrorFault.BadInput,
        $"The feed at {_feed.Location} stands at {MirrorException.Quote(info.Head.Text)}, before the sequence {MirrorException.Quote(given.Text)}; give last_seq one that this feed has told, 0 for everything or now for its head.");

    private string Reset(string reason)
    {
        var what = $"The feed at {_feed.Location} was reset: {reason}.";
        return _options.EndsAtReset
            ? what
            : $"{what} Of its newest {RowsAfterReset} rows, those that were not told in this run are told now; older changes since then are not told.";
    }

    /// <summary>Changes between the last look at the old feed and the head of the new one are among its newest rows, if anywhere.</summary>
    private async Task TellNewestAsync(MonitorRun run, FeedPlace place, LateRowSearch late)
    {
        try
        {
            var newest = await _feed.ReadNewestAsync(RowsAfterReset, run.Stopping);
            // Rows after the cursor come on the way forward.
            var missed = newest.Where(row => !place.Cursor!.Value.IsBefore(row.Sequence)).ToList();
            await late.BeginAnewAsync(new ChangesPage(missed, place.Cursor!.Value, IsAtHead: false), run.Stopping);
        }
        catch (MirrorException exception) when (!exception.IsTransient)
        {
            // An upstream that does not send them now would not do so next time either.
            await _tell(new MonitorEvent.Failed(exception, null), run.Stopping);
        }

        place.IsAfterReset = false;
    }

    private async Task PauseAsync(MonitorRun run, TimeSpan pause)
    {
        try
        {
            await Task.Delay(pause, _time, run.Stopping);
        }
        catch (OperationCanceledException)
        {
            // The loop's own condition ends it.
        }
    }

    [LoggerMessage(EventIds.Following + 1, LogLevel.Information, "Following {Feed}")]
    private partial void LogStarted(string feed);

    [LoggerMessage(EventIds.Following + 2, LogLevel.Warning, "Following failed, next try in {Pause}: {Reason}")]
    private partial void LogFailed(TimeSpan pause, string reason);

    [LoggerMessage(EventIds.Following + 3, LogLevel.Warning, "{Skipped}")]
    private partial void LogSkipped(string skipped);

    [LoggerMessage(EventIds.Following + 4, LogLevel.Error, "The feed at {Feed} was reset: {Reason}")]
    private partial void LogReset(string feed, string reason);
}
