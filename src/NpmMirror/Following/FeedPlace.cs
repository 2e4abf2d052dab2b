namespace NpmMirror.Following;

/// <summary>The place of one run of a follower in its feed, and its findings about that feed.</summary>
internal sealed class FeedPlace
{
    /// <summary>Up to where everything was handled; null before the feed's head is known.</summary>
    internal Sequence? Cursor { get; set; }

    /// <summary>The feed's head as it was told last.</summary>
    internal Sequence? Head { get; set; }

    /// <summary>The cursor was given by an operator; this feed has not told it.</summary>
    internal bool IsGiven { get; set; }

    /// <summary>Why the feed refuses the cursor, each time since a page was read; the newest of them.</summary>
    internal (int Times, string? Reason) Refused { get; set; }

    /// <summary>Which life of the database the cursor belongs to, if the feed tells.</summary>
    internal string? DatabaseId { get; set; }

    /// <summary>When the feed's information was asked for last; null if that must be done first.</summary>
    internal long? CheckedAt { get; set; }

    /// <summary>The findings of a look during an open read.</summary>
    internal FeedLook? Found { get; set; }

    /// <summary>The feed was reset, and there is no comparison of everything: its newest rows must be read.</summary>
    internal bool IsAfterReset { get; set; }

    /// <summary>A page ended before the cursor.</summary>
    internal bool IsDoubted { get; set; }

    /// <summary>A page may end before the cursor: the feed was asked since, and was not reset.</summary>
    internal bool IsBelieved { get; set; }

    internal bool MustCheck(TimeProvider time) => Found is not null || CheckedAt is not { } at || time.GetElapsedTime(at) >= ResetWatch.Every;
}
