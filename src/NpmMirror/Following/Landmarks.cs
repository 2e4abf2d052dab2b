using NpmMirror.Feeds;

namespace NpmMirror.Following;

/// <summary>
/// Rows whose places in a feed are known. As long as a database lives, a place belongs to one change. If another change stands at one of them,
/// the cursor was not taken from this feed, however far its head may lie beyond. An empty place says nothing: the package
/// has changed since. Plain numbers only: at another node of a cluster rows may stand in another order. If a feed tells two rows at one
/// place, that place tells nothing.
/// Another npm-mirror tells more: the hash of its whole log up to any position. Its rows keep their places if only the
/// revision changes, so only the packages are compared there.
/// </summary>
internal sealed class Landmarks
{
    /// <summary>Enough that one that stays is among them until the next look, also where packages change again and again.</summary>
    private const int Max = 16;

    // An id is remote text, and these are kept.
    private const int IdMaxLength = 300;

    private readonly Lock _lock = new();
    private List<Landmark> _known;
    private List<Landmark> _read = [];

    internal Landmarks(IEnumerable<Landmark> known, LogMark? log)
    {
        _known = [.. known.OrderBy(mark => mark.Number)];
        Log = log;
    }

    /// <summary>Where another npm-mirror's log ended at the last look.</summary>
    internal LogMark? Log
    {
        get
        {
            lock (_lock)
            {
                return field;
            }
        }

        private set
        {
            lock (_lock)
            {
                field = value;
            }
        }
    }

    /// <summary>The landmarks to keep for the next start.</summary>
    internal IReadOnlyList<Landmark> All
    {
        get
        {
            lock (_lock)
            {
                return [.. _known, .. _read];
            }
        }
    }

    /// <summary>Notes rows that were read on the way forward.</summary>
    internal void Note(IReadOnlyList<ChangeRow> rows)
    {
        lock (_lock)
        {
            if (_known.Count == 0)
            {
                // First rows after a check: they count as known at once.
                _known = [.. Of(rows).OrderBy(mark => mark.Number)];
                return;
            }

            _read = [.. _read.Concat(Of(rows)).TakeLast(Max)];
        }
    }

    /// <summary>Asks the feed whether other changes have taken these places. If not, the rows read before the request are known from now on.</summary>
    /// <exception cref="MirrorException">A transient failure.</exception>
    internal async Task<bool> AreTakenAsync(IChangeFeed feed, FeedInfo info, CancellationToken cancellationToken)
    {
        if (Log is { } log && await IsAnotherLogAsync(feed, info, log, cancellationToken))
        {
            return true;
        }

        if (await AreRowsTakenAsync(feed, !info.IsMirror, cancellationToken))
        {
            return true;
        }

        Log = info is { Head.Number: { } head, LogHash: { } hash } ? new LogMark(head, hash) : null;
        return false;
    }

    private static async Task<bool> IsAnotherLogAsync(IChangeFeed feed, FeedInfo info, LogMark log, CancellationToken cancellationToken)
    {
        if (info.LogHash is null || info.Head.Number is not { } head)
        {
            return false;
        }

        var hash = head == log.Position ? info.LogHash : head < log.Position ? "" : await feed.ReadLogHashAsync(log.Position, cancellationToken);
        return hash is not null && hash != log.Hash;
    }

    private async Task<bool> AreRowsTakenAsync(IChangeFeed feed, bool areRevisionsFixed, CancellationToken cancellationToken)
    {
        List<Landmark> known, read;
        lock (_lock)
        {
            (known, read) = (_known, _read);
        }

        try
        {
            if (known.Count == 0)
            {
                // Nothing was read here before: a later look compares with the present rows.
                read = [.. Of(await feed.ReadNewestAsync(Max, cancellationToken))];
            }
            else
            {
                var rows = await feed.ReadRowsAsync(new Sequence($"{Math.Max(0, known[0].Number - 1)}"), known.Count, cancellationToken);
                var taken = rows.ToLookup(row => row.Sequence.Number);
                if (known.Exists(mark => taken.Contains(mark.Number) && !taken[mark.Number].Any(row => row.Id == mark.Id && (row.Rev == mark.Rev || !areRevisionsFixed))))
                {
                    return true;
                }
            }
        }
        catch (MirrorException exception) when (!exception.IsTransient)
        {
            // A feed that does not answer this request cannot be told from another one this way.
            return false;
        }

        lock (_lock)
        {
            _known = [.. known.Concat(read).Distinct().OrderBy(mark => mark.Number).TakeLast(Max)];
            _read = [.. _read.Except(read)];
        }

        return false;
    }

    private static IEnumerable<Landmark> Of(IReadOnlyList<ChangeRow> rows) =>
        from row in rows.TakeLast(2 * Max)
        let number = row.Sequence.Number
        where number is not null && row.Id.Length <= IdMaxLength
        group new Landmark(number.Value, row.Id, row.Rev) by number.Value into place
        where place.Distinct().Count() == 1
        select place.First();
}

/// <summary>Which change stands at a place of a feed.</summary>
internal readonly record struct Landmark(long Number, string Id, string? Rev);

/// <summary>The hash of all that a log had said up to a position.</summary>
internal readonly record struct LogMark(long Position, string Hash);
