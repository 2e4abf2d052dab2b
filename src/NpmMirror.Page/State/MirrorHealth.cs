using NpmMirror.Hosting;

namespace NpmMirror.Page.State;

/// <summary>How a mirror is doing.</summary>
internal enum HealthLevel
{
    /// <summary>All is well.</summary>
    Well,

    /// <summary>It works, and an operator should look.</summary>
    Attention,

    /// <summary>Something does not work.</summary>
    Trouble,
}

/// <summary>Whether all is well, in one line.</summary>
/// <param name="Level">How it is doing.</param>
/// <param name="Line">The line.</param>
internal sealed record MirrorHealth(HealthLevel Level, string Line)
{
    private const double FreeShareMin = 0.05;

    // A feed that is asked every quarter of a minute is at its head at most this long ago.
    private static readonly TimeSpan LagMax = TimeSpan.FromMinutes(10);

    // Less is not told: the line would change each second.
    private static readonly TimeSpan Usual = TimeSpan.FromMinutes(1);

    /// <summary>Judges a state: the gravest finding comes first, and counts.</summary>
    internal static MirrorHealth Of(MirrorStatus status, FollowingNow following, DiskSpace? disk, DateTimeOffset now)
    {
        var trouble = new List<string>();
        var attention = new List<string>();
        if (!status.Writable)
        {
            trouble.Add($"The store cannot be written: {status.WhyNotWritable}");
        }

        if (disk is { } space && space.FreeBytes < space.TotalBytes * FreeShareMin)
        {
            attention.Add($"The disk of {space.Folder} is nearly full: {Words.Bytes(space.FreeBytes)} are free.");
        }

        if (following.LastFailure is { } failure)
        {
            (following.IsFollowed ? attention : trouble).Add($"Following fails: {Words.Plain(failure.Reason)}");
        }

        if (status.Removals.IsHeld(now))
        {
            attention.Add($"Removals are held back: {status.Removals.Reason}");
        }

        if (status.Pauses.Count > 0)
        {
            attention.Add($"{status.Pauses[0].Host} is not asked for {status.Pauses[0].Words} until {Words.Time(status.Pauses[0].Until)}.");
        }

        if (status.Errors.Count + status.GivenUp.Count is > 0 and var failing)
        {
            attention.Add(failing == 1 ? "A package fails." : $"{failing} packages fail.");
        }

        var lag = now - status.Feed.Following.AtHeadAt;
        if (following.IsFollowed && !status.Feed.IsFirstWalk && lag > LagMax)
        {
            attention.Add($"The feed was last read to its head {Words.Ago(lag.Value)} ago.");
        }

        var level = trouble.Count > 0 ? HealthLevel.Trouble : attention.Count > 0 ? HealthLevel.Attention : HealthLevel.Well;
        return new MirrorHealth(level, string.Join(" ", [.. trouble, .. attention, .. level == HealthLevel.Well ? ["All is well.", FollowingLine(status, following, lag)] : Array.Empty<string>()]));
    }

    private static string FollowingLine(MirrorStatus status, FollowingNow following, TimeSpan? lag) =>
        following.IsOffline ? "Offline: held packages are served, and nothing is asked upstream."
        : status.Feed.Location is null ? "No feed is followed: packages are compared with the upstream when they are asked for."
        : status.Feed.IsFirstWalk ? "Following; the first walk over everything is not done yet."
        : lag is { } late && late > Usual ? $"Following; at the feed's head {Words.Ago(late)} ago."
        : lag is not null ? "Following, at the feed's head."
        : "Following.";
}

/// <summary>How following goes at this moment.</summary>
/// <param name="IsOffline">Whether nothing is asked upstream.</param>
/// <param name="IsFollowed">Whether a feed tells of every change.</param>
/// <param name="LastFailure">The last failure, if following did not go on since.</param>
internal sealed record FollowingNow(bool IsOffline, bool IsFollowed, FollowingFailure? LastFailure);

/// <summary>A failure of following.</summary>
internal sealed record FollowingFailure(DateTimeOffset At, string Reason);

/// <summary>The disk of the data folder.</summary>
internal sealed record DiskSpace(string Folder, long FreeBytes, long TotalBytes)
{
    /// <summary>That of a folder; null if the system does not tell.</summary>
    internal static DiskSpace? Of(string folder)
    {
        try
        {
            var drive = new DriveInfo(Path.GetFullPath(folder));
            return new DiskSpace(folder, drive.AvailableFreeSpace, drive.TotalSize);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }
}
