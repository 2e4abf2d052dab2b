
namespace NpmMirror.Following;

/// <summary>
/// Where a cursor stood when: so that a stretch of the feed can be named by its age. Bounded: the older, the coarser, to a sixteenth
/// of the age, so that a stretch is never shorter than asked for and hardly longer.
/// </summary>
internal sealed class CursorTrail(IEnumerable<TrailMark> marks)
{
    private const int MarksPerAge = 16;

    // Only a clock that was set back could bring more.
    private const int MarksMax = 1_000;

    private static readonly TimeSpan Finest = TimeSpan.FromMinutes(1);

    private readonly List<TrailMark> _marks = [.. marks.OrderBy(mark => mark.At).TakeLast(MarksMax)];

    /// <summary>From the oldest.</summary>
    internal IReadOnlyList<TrailMark> Marks => _marks;

    /// <summary>Notes that the cursor stands here now, and forgets marks older than <paramref name="needed"/>.</summary>
    internal void Note(DateTimeOffset now, Sequence sequence, DateTimeOffset needed)
    {
        // A clock that was ahead made these, and was set right. The cursor passed there now at the latest: a stretch gets longer by that, never shorter.
        for (var at = _marks.Count - 1; at >= 0 && _marks[at].At > now; at--)
        {
            _marks[at] = _marks[at] with { At = now };
        }

        if (_marks.Count > 1 && now - _marks[^2].At < Finest)
        {
            // The newest is always there, but not every move needs a mark of its own.
            _marks.RemoveAt(_marks.Count - 1);
        }

        _marks.Add(new TrailMark(now, sequence));
        for (var at = _marks.Count - 2; at > 0; at--)
        {
            // Without this one the next older mark takes its place: only if that is near enough for its age.
            if (_marks[at + 1].At - _marks[at - 1].At < (now - _marks[at].At) / MarksPerAge)
            {
                _marks.RemoveAt(at);
            }
        }

        while (_marks.Count > 1 && _marks[1].At <= needed)
        {
            _marks.RemoveAt(0);
        }
    }

    /// <summary>Where the cursor stood at a moment, or a little before it; the oldest that is known if nothing is as old. Null when nothing is known.</summary>
    internal Sequence? StoodAt(DateTimeOffset moment)
    {
        if (_marks.Count == 0)
        {
            return null;
        }

        var at = _marks.FindLastIndex(mark => mark.At <= moment);
        return _marks[Math.Max(at, 0)].Sequence;
    }

    /// <summary>When the cursor had passed a sequence; null when that is not known.</summary>
    internal DateTimeOffset? PassedAt(long sequence)
    {
        var at = _marks.FindIndex(mark => mark.Sequence.Number >= sequence);
        return at < 0 ? null : _marks[at].At;
    }
}

/// <summary>Where a cursor stood at a moment.</summary>
internal readonly record struct TrailMark(DateTimeOffset At, Sequence Sequence);
