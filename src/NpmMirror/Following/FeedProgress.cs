using NpmMirror.Feeds;
using NpmMirror.Upstream;

namespace NpmMirror.Following;

/// <summary>
/// Tells whether a feed makes progress, and makes it wait longer and longer while it does not. Such a feed answers at once with rows that were
/// read before: its <c>since</c> includes the row itself, it has no <c>last_seq</c>, or it does not wait when it is asked to.
/// </summary>
internal sealed class FeedProgress(MonitorDelay delay, TimeProvider time)
{
    private const int RowsMax = 1_000;

    /// <summary>How many polls in a row may find nothing before they are slowed down, where the operator chose the pace.</summary>
    private const int IdlePollsMax = 10;

    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    // The rows of the last page that had some.
    private HashSet<ChangeRow> _rows = [];
    private HashSet<(string Id, string? Rev)> _changes = [];
    private int _requestsWithoutProgress;
    private long _askedAt;
    private bool _isAhead;
    private bool _hasRows;

    /// <summary>Notes that a request for changes goes out.</summary>
    internal void Begin()
    {
        _askedAt = time.GetTimestamp();
        (_isAhead, _hasRows) = (false, false);
    }

    /// <summary>Takes the rows that the feed told before out of a page, and says whether the page ends at the head.</summary>
    /// <param name="page">The page as it was read.</param>
    /// <param name="cursor">Rows after this sequence were requested.</param>
    /// <param name="head">The head that the feed told last.</param>
    internal ChangesPage WithoutKnown(ChangesPage page, Sequence cursor, Sequence? head)
    {
        _hasRows |= page.Rows.Count > 0;
        if (page.Rows.Any(row => IsKnown(row, cursor)))
        {
            page = page with { Rows = [.. page.Rows.Where(row => !IsKnown(row, cursor))] };
        }

        // A server may give fewer rows than it was asked for. A page without news is the end even so: in a cluster the head may
        // be a number that no row reaches.
        var isShort = page.Rows.Count > 0 && head is { } more && page.LastSequence.IsBefore(more);
        return page with { IsAtHead = page.IsAtHead && !isShort };
    }

    /// <summary>Notes that a page was handled.</summary>
    internal void Note(ChangesPage page, Sequence before)
    {
        _isAhead |= before.Order is null || page.LastSequence.Order is null
            ? page.LastSequence != before && page.Rows.Any(row => !_changes.Contains((row.Id, row.Rev)))
            : before.IsBefore(page.LastSequence);
        if (page.Rows.Count > 0)
        {
            // Bounded: rows beyond are handled again, which is slow but right.
            var last = page.Rows.TakeLast(RowsMax).ToList();
            _rows = page.LastSequence == before ? [.. _rows.Concat(last).TakeLast(RowsMax)] : [.. last];
            _changes = [.. _rows.Select(row => (row.Id, row.Rev))];
        }
    }

    /// <summary>Waits before the next request when this one brought nothing.</summary>
    /// <param name="isAtHead">Whether the answer ended at the head.</param>
    /// <param name="idleDelay">How long the feed wants to be left alone there.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal async Task WaitAsync(bool isAtHead, TimeSpan idleDelay, CancellationToken cancellationToken)
    {
        // An empty answer after a second or more: the upstream waited for changes, as it was asked to.
        if (_isAhead || (!_hasRows && time.GetElapsedTime(_askedAt) >= FirstPause))
        {
            _requestsWithoutProgress = 0;
            return;
        }

        _requestsWithoutProgress++;
        var isPolled = isAtHead && (delay.Value > TimeSpan.Zero || idleDelay > TimeSpan.Zero);
        var left = (isPolled ? PauseOfPolls() : Pause()) - time.GetElapsedTime(_askedAt);
        if (left > TimeSpan.Zero)
        {
            await Task.Delay(left, time, cancellationToken);
        }
    }

    private TimeSpan PauseOfPolls() => _requestsWithoutProgress > IdlePollsMax ? FirstPause : TimeSpan.Zero;

    // Each feed gives one answer without news at its head.
    private TimeSpan Pause() => _requestsWithoutProgress < 2 ? TimeSpan.Zero : new Backoff(FirstPause, LongestPause, Random.Shared) { Failures = _requestsWithoutProgress - 2 }.Next();

    private bool IsKnown(ChangeRow row, Sequence cursor) =>
        row.Sequence == cursor ? _rows.Contains(row) : row.Sequence.Number < cursor.Number;
}
