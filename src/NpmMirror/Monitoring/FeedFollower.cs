using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Upstream;

namespace NpmMirror.Monitoring;

/// <summary>The loop of a monitor: asks the feed, has each page handled, moves on, and after any failure tries again.</summary>
internal sealed partial class FeedFollower
{
    // How often an idle feed is asked whether it still is the one it was.
    private const int IdlePagesPerCheck = 20;

    private readonly IChangeFeed _feed;
    private readonly IChangeHandler _handler;
    private readonly MonitorOptions _options;
    private readonly MonitorDelay _delay;
    private readonly Func<MonitorEvent, CancellationToken, ValueTask> _tell;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
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
    internal async Task RunAsync(MonitorRun run, Sequence? since)
    {
        IsFeedReset = false;
        var trouble = new Backoff(_options.FirstRetry, _options.LongestRetry, Random.Shared);
        try
        {
            var place = new Place { Cursor = since };
            var late = new LateRowSearch(_feed, _handler, _options.Windows, _tell, _time, _logger);
            while (!run.IsOver)
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
                    // The loop's edge: whatever a feed, a handler or an upstream does, following goes on.
                    IsConnected = false;
                    place.IsChecked = false;
                    var pause = trouble.Next((exception as MirrorException)?.RetryAfter);
                    LogFailed(pause, exception.Message);
                    FollowingMetrics.Failures.Add(1);
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
    private async Task ReadOnceAsync(MonitorRun run, Place place, LateRowSearch late, Backoff trouble)
    {
        if (!place.IsChecked && !await CheckAsync(run, place, late))
        {
            return;
        }

        var cursor = place.Cursor!.Value;
        await _tell(new MonitorEvent.Polled(cursor), run.Stopping);
        var isAtHead = true;
        await foreach (var page in _feed.ReadAsync(cursor, () => Accept(run), run.Stopping))
        {
            await run.Notices;
            isAtHead = page.IsAtHead;
            await HandleAsync(page, place, run);
            await late.NoteAsync(page, run.Stopping);
            // Only now: a page that cannot be handled is tried again ever more slowly.
            trouble.Reset();
        }

        if (isAtHead)
        {
            await late.LookAsync(place.Cursor.Value, run.Stopping);
            await _delay.WaitAsync(_feed.IdleDelay, run.Stopping);
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

    private async Task HandleAsync(ChangesPage page, Place place, MonitorRun run)
    {
        foreach (var skipped in page.Skipped)
        {
            LogSkipped(skipped);
            await _tell(new MonitorEvent.Failed(new MirrorException(MirrorFault.UpstreamMalformed, skipped), null), run.Stopping);
        }

        if (page.Rows.Count == 0 && page.LastSequence == place.Cursor)
        {
            place.IsChecked = ++place.IdlePages % IdlePagesPerCheck != 0;
            return;
        }

        if (place.Cursor is { Number: { } before } && page.LastSequence.Number < before)
        {
            throw new MirrorException(
                MirrorFault.UpstreamMalformed,
                $"Asked for what comes behind {MirrorException.Quote(place.Cursor.Value.Text)}, the feed at {_feed.Location} ends at {MirrorException.Quote(page.LastSequence.Text)}.",
                isTransient: true);
        }

        await _handler.HandleAsync(page, _tell, run.Stopping);
        place.Cursor = page.LastSequence;
        LastSequence = page.LastSequence;
        await _tell(new MonitorEvent.Revised(page.LastSequence, page.Rows.Count), run.Stopping);
    }

    /// <summary>Finds the head where nothing says where to begin, and a feed that is not what it was. False: ended.</summary>
    private async Task<bool> CheckAsync(MonitorRun run, Place place, LateRowSearch late)
    {
        var info = await ReadInfoAsync(run, place);
        place.IsChecked = true;
        var isReset = place.Cursor is { } cursor && (info.IsBehind(cursor) || (place.DatabaseId ?? info.DatabaseId) != info.DatabaseId);
        place.DatabaseId = info.DatabaseId;
        if (isReset)
        {
            LogReset(_feed.Location, place.Cursor!.Value, info.Head);
            await _tell(
                new MonitorEvent.Failed(
                    new MirrorException(MirrorFault.UpstreamMalformed, $"The feed at {_feed.Location} was reset: it stands at {MirrorException.Quote(info.Head.Text)}, and had come to {MirrorException.Quote(place.Cursor.Value.Text)} before."),
                    null),
                run.Stopping);
            if (_options.EndsAtReset)
            {
                IsFeedReset = true;
                run.Stop();
                return false;
            }

            place.Cursor = null;
        }

        place.Cursor ??= info.Head;
        LastSequence = place.Cursor;
        await late.NoteHeadAsync(info.Head, place.Cursor.Value, run.Stopping);
        return true;
    }

    private async Task<FeedInfo> ReadInfoAsync(MonitorRun run, Place place)
    {
        try
        {
            return await _feed.GetInfoAsync(run.Stopping);
        }
        catch (MirrorException exception) when (exception.Fault == MirrorFault.UpstreamMalformed && place.Cursor is not null)
        {
            // A feed that tells nothing of itself is followed nevertheless, from where we know.
            return new FeedInfo(place.Cursor.Value, null, place.DatabaseId);
        }
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

    /// <summary>Where one run stands in the feed.</summary>
    private sealed class Place
    {
        internal Sequence? Cursor { get; set; }

        internal string? DatabaseId { get; set; }

        internal bool IsChecked { get; set; }

        internal int IdlePages { get; set; }
    }

    [LoggerMessage(EventIds.Monitoring + 1, LogLevel.Information, "Following {Feed}")]
    private partial void LogStarted(string feed);

    [LoggerMessage(EventIds.Monitoring + 2, LogLevel.Warning, "Following failed, next try in {Pause}: {Reason}")]
    private partial void LogFailed(TimeSpan pause, string reason);

    [LoggerMessage(EventIds.Monitoring + 3, LogLevel.Warning, "{Skipped}")]
    private partial void LogSkipped(string skipped);

    [LoggerMessage(EventIds.Monitoring + 4, LogLevel.Error, "The feed at {Feed} was reset: its head {Head} lies before {Cursor}, or it is another database")]
    private partial void LogReset(string feed, Sequence cursor, Sequence head);
}
