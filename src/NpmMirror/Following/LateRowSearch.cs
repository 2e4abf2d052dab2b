using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Upstream;

namespace NpmMirror.Following;

/// <summary>
/// Finds rows that appeared before the cursor: reads trailing windows of the feed again, each in its turn and a few pages at a time, so that
/// reading forward never waits long. A row with a receipt costs nothing. A failure here is told and tried again later; it holds nothing up.
/// </summary>
internal sealed partial class LateRowSearch
{
    private const int PagesPerLook = 10;

    private static readonly TimeSpan KeepEvery = TimeSpan.FromMinutes(1);

    private readonly IChangeFeed _feed;
    private readonly IChangeHandler _handler;
    private readonly List<TrailingWindow> _windows;
    private readonly Func<MonitorEvent, CancellationToken, ValueTask> _tell;
    private readonly FollowingMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly RowReceipts _receipts = new();
    private readonly Backoff _trouble = new(TimeSpan.FromMinutes(1), TimeSpan.FromHours(1), Random.Shared);
    private FeedTrail? _trail;
    private long? _keptAt;
    private (long At, TimeSpan For) _pause;
    private Stretch? _stretch;

    internal LateRowSearch(IChangeFeed feed, IChangeHandler handler, IReadOnlyList<TrailingWindow> windows, Func<MonitorEvent, CancellationToken, ValueTask> tell, FollowingMetrics metrics, TimeProvider time, ILogger logger)
    {
        _feed = feed;
        _handler = handler;
        _windows = [.. windows.OrderByDescending(window => window.Length)];
        _tell = tell;
        _metrics = metrics;
        _time = time;
        _logger = logger;
    }

    /// <summary>Remembers which rows were handled also where none come late.</summary>
    internal bool KeepsReceipts { get; init; }

    /// <summary>The rows by which the feed is known again.</summary>
    internal async ValueTask<Landmarks> FindLandmarksAsync(CancellationToken cancellationToken) => (await ReadTrailAsync(cancellationToken)).Landmarks;

    private bool IsOn => _feed.LateSequences > 0 && _windows.Count > 0;

    /// <summary>Notes that a page was handled and the cursor stands after it.</summary>
    internal async ValueTask NoteAsync(ChangesPage page, CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        var trail = await ReadTrailAsync(cancellationToken);
        trail.Landmarks.Note(page.Rows);
        if (IsOn)
        {
            if (trail.Cursor.Marks.Count == 0)
            {
                // The beginning of the feed: there is nothing before it to read again.
                _windows.ForEach(window => trail.NoteReadAgain(window.Length, now));
            }

            trail.Cursor.Note(now, page.LastSequence, _windows.Min(window => BeginOf(trail, window, now)));
        }

        if (IsOn || KeepsReceipts)
        {
            foreach (var row in page.Rows)
            {
                _receipts.Add(row);
            }
        }

        if (page.IsAtHead)
        {
            trail.NoteAtHead(now, page.LastSequence);
            _metrics.LagSequences.Record(0);
        }

        MeasureLag();

        if (!(_keptAt is { } keptAt && _time.GetElapsedTime(keptAt) < KeepEvery))
        {
            await KeepAsync(cancellationToken);
        }
    }

    /// <summary>Says how long the follower has not stood at the feed's head.</summary>
    internal void MeasureLag()
    {
        if (_trail?.State.AtHeadAt is { } at)
        {
            _metrics.LagSeconds.Record(Math.Max(0, (_time.GetUtcNow() - at).TotalSeconds));
        }
    }

    /// <summary>Notes where the feed's head is, for the lag in sequences.</summary>
    internal async ValueTask NoteHeadAsync(Sequence head, Sequence cursor, CancellationToken cancellationToken)
    {
        (await ReadTrailAsync(cancellationToken)).NoteHead(head);
        if (head.Number - cursor.Number is { } lag)
        {
            _metrics.LagSequences.Record(Math.Max(0, lag));
        }
    }

    /// <summary>At the feed's head: goes on with the window under way, or begins the longest that is due.</summary>
    internal async Task LookAsync(Sequence cursor, CancellationToken cancellationToken)
    {
        if (!IsOn || _trail is null || _time.GetElapsedTime(_pause.At) < _pause.For)
        {
            return;
        }

        try
        {
            _stretch ??= FindDue(_trail, cursor);
            for (var pages = 0; pages < PagesPerLook && _stretch is not null; pages++)
            {
                await ReadAsync(_trail, _stretch, cancellationToken);
            }

            _trouble.Reset();
        }
        catch (MirrorException failure)
        {
            // Reading forward goes on; a later window covers the rows that were not read again.
            var pause = _trouble.Next(failure.RetryAfter);
            _pause = (_time.GetTimestamp(), pause);
            LogFailed(pause, failure.Message);
            await _tell(new MonitorEvent.Failed(failure, null), cancellationToken);
        }
    }

    /// <summary>After a reset the trail does not fit the new numbers. Handles the rows that have no receipt.</summary>
    internal async Task BeginAnewAsync(ChangesPage newest, CancellationToken cancellationToken)
    {
        _stretch = null;
        _trail = FeedTrail.Parse(null);
        await KeepAsync(cancellationToken);
        var unknown = newest.Rows.Where(row => !_receipts.Has(row)).ToList();
        if (unknown.Count > 0)
        {
            await _handler.HandleAgainAsync(newest with { Rows = unknown }, _tell, cancellationToken);
            unknown.ForEach(_receipts.Add);
        }
    }

    private async ValueTask<FeedTrail> ReadTrailAsync(CancellationToken cancellationToken) => _trail ??= FeedTrail.Parse(await _handler.ReadTrailAsync(cancellationToken));

    private Stretch? FindDue(FeedTrail trail, Sequence cursor)
    {
        var now = _time.GetUtcNow();
        foreach (var window in _windows)
        {
            if (trail.ReadAgainAt(window.Length) is { } last && last <= now && (now - last < window.Every || last == now))
            {
                continue;
            }

            if (trail.Cursor.StoodAt(BeginOf(trail, window, now)) is { } from && from.Number < cursor.Number)
            {
                return new Stretch(window, now, cursor.Number.Value) { From = from };
            }

            trail.NoteReadAgain(window.Length, now);
        }

        return null;
    }

    /// <summary>
    /// A window goes back to its length before it was read last: so every place is read again when a row there can be that late, and not only
    /// when the window happens to be read then. It includes the time in which no process followed.
    /// </summary>
    private static DateTimeOffset BeginOf(FeedTrail trail, TrailingWindow window, DateTimeOffset now) =>
        (trail.ReadAgainAt(window.Length) is { } last && last < now ? last : now) - window.Length;

    /// <summary>One request; more than one page only from a server that ignores the limit.</summary>
    private async Task ReadAsync(FeedTrail trail, Stretch stretch, CancellationToken cancellationToken)
    {
        var from = stretch.From;
        await _tell(new MonitorEvent.Polled(from), cancellationToken);
        var isEnd = true;
        await foreach (var page in _feed.ReadAsync(from, null, cancellationToken))
        {
            await HandleAsync(trail, stretch, page, cancellationToken);
            isEnd = page.IsAtHead || page.LastSequence.Number is not { } last || last >= stretch.Until || last <= stretch.From.Number;
            stretch.From = page.LastSequence;
        }

        if (isEnd)
        {
            // A window includes the shorter ones.
            foreach (var window in _windows.Where(window => window.Length <= stretch.Window.Length))
            {
                trail.NoteReadAgain(window.Length, stretch.BegunAt);
            }

            _stretch = null;
            if (stretch.Window.Every > TimeSpan.Zero)
            {
                await KeepAsync(cancellationToken);
            }
        }
    }

    private async Task HandleAsync(FeedTrail trail, Stretch stretch, ChangesPage page, CancellationToken cancellationToken)
    {
        // Rows after the cursor come on the way forward.
        var unknown = page.Rows.Where(row => row.Sequence.Number <= stretch.Until && !_receipts.Has(row)).ToList();
        _metrics.RowsReadAgain.Add(page.Rows.Count);
        if (unknown.Count == 0)
        {
            return;
        }

        var news = await _handler.HandleAgainAsync(page with { Rows = unknown, Skipped = [] }, _tell, cancellationToken);
        unknown.ForEach(_receipts.Add);
        if (news.Count == 0)
        {
            return;
        }

        var now = _time.GetUtcNow();
        TimeSpan? longest = null;
        foreach (var row in news)
        {
            if (now - trail.Cursor.PassedAt(row.Sequence.Number ?? long.MaxValue) is { } late)
            {
                _metrics.LateBy.Record(late.TotalSeconds);
                longest = longest > late ? longest : late;
            }
        }

        _metrics.LateRows.Add(news.Count);
        trail.NoteLate(news.Count, longest, now);
        LogLate(news.Count, longest, news[0].Id);
        await KeepAsync(cancellationToken);
    }

    private async ValueTask KeepAsync(CancellationToken cancellationToken)
    {
        await _handler.KeepTrailAsync(_trail!.ToText(), cancellationToken);
        _keptAt = _time.GetTimestamp();
    }

    /// <summary>A window that is being read.</summary>
    private sealed class Stretch(TrailingWindow window, DateTimeOffset begunAt, long until)
    {
        internal TrailingWindow Window => window;

        internal DateTimeOffset BegunAt => begunAt;

        internal long Until => until;

        internal required Sequence From { get; set; }
    }

    [LoggerMessage(EventIds.Following + 10, LogLevel.Information, "{Rows} rows appeared before the cursor, {Late} after it had passed them; the first is of {Id}")]
    private partial void LogLate(int rows, TimeSpan? late, string id);

    [LoggerMessage(EventIds.Following + 11, LogLevel.Warning, "Looking for late rows failed, next try in {Pause}; following goes on: {Reason}")]
    private partial void LogFailed(TimeSpan pause, string reason);
}
