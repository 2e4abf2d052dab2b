namespace NpmMirror.Storage;

/// <summary>
/// How far ahead a moment that a store kept is believed. The clock that wrote it may have been wrong, and no wait may last as long as that clock was wrong.
/// </summary>
public static class StoredMoments
{
    /// <summary>The longest pause before an item of the queue is tried again. An item that is due later than that is due now.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(10);

    /// <summary>The longest lease that is given. One that ends later than that has ended.</summary>
    public static readonly TimeSpan LongestLease = TimeSpan.FromMinutes(2);

    /// <summary>When a lease ends that begins now.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A lease of this length is not plausible.</exception>
    public static DateTimeOffset EndOfLease(DateTimeOffset now, TimeSpan duration)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(duration, LongestLease);
        return now + duration;
    }

    /// <summary>Whether a lease is held that ends at this moment.</summary>
    public static bool IsHeld(DateTimeOffset until, DateTimeOffset now) => until > now && until - now <= LongestLease;

    /// <summary>The item as it is believed now: its past is not later than now, and its next try is no further away than the longest pause.</summary>
    public static QueueItem BelievedAt(this QueueItem item, DateTimeOffset now)
    {
        var isDueTooLate = item.DueAt - now > LongestPause;
        return !isDueTooLate && !(item.QueuedAt > now) && !(item.MissingSince > now)
            ? item
            : item with
            {
                DueAt = isDueTooLate ? now : item.DueAt,
                QueuedAt = item.QueuedAt > now ? now : item.QueuedAt,
                MissingSince = item.MissingSince > now ? now : item.MissingSince,
            };
    }
}
