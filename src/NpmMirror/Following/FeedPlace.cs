namespace NpmMirror.Following;

/// <summary>Where one run of a follower stands in its feed, and what it makes of that feed.</summary>
internal sealed class FeedPlace
{
    /// <summary>Up to where everything was handled; null before the feed's head is known.</summary>
    internal Sequence? Cursor { get; set; }

    /// <summary>The feed's head as it was told last.</summary>
    internal Sequence? Head { get; set; }

    /// <summary>The cursor is what somebody wrote, not what this feed has told.</summary>
    internal bool IsGiven { get; set; }

    /// <summary>Why the feed refuses the cursor, each time since a page was read; the newest of them.</summary>
    internal (int Times, string? Reason) Refused { get; set; }

    /// <summary>Which life of the database the cursor belongs to, where the feed tells.</summary>
    internal string? DatabaseId { get; set; }

    /// <summary>When the feed was asked last what it is; null when that is to be done before anything else.</summary>
    internal long? CheckedAt { get; set; }

    /// <summary>What was found beside an open read.</summary>
    internal FeedLook? Found { get; set; }

    /// <summary>The feed was reset, and nobody compares everything: its newest rows are to be looked at.</summary>
    internal bool IsAfterReset { get; set; }

    /// <summary>A page ended before the cursor.</summary>
    internal bool IsDoubted { get; set; }

    /// <summary>A page may end before the cursor: the feed was asked since, and was not reset.</summary>
    internal bool IsBelieved { get; set; }

    internal bool MustCheck(TimeProvider time) => Found is not null || CheckedAt is not { } at || time.GetElapsedTime(at) >= ResetWatch.Every;
}
