using NpmMirror.Options;

namespace NpmMirror.Feeds;

/// <summary>How feeds are asked.</summary>
internal sealed record FeedOptions
{
    /// <summary>How a live feed is read.</summary>
    public FeedMode Mode { get; init; } = FeedMode.Longpoll;

    /// <summary>Rows asked for at once.</summary>
    public int PageRows { get; init; } = 1000;

    /// <summary>Rows of the list of everything asked for at once.</summary>
    public int ListRows { get; init; } = 10_000;

    /// <summary>How long to wait at the head of a feed that does not wait by itself.</summary>
    public TimeSpan PollDelay { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long to wait for headers and for each piece of a plain answer.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether the feed's address was made from the upstream's by <see cref="FeedConvention"/>.</summary>
    internal bool IsDerived { get; init; }

    /// <summary>How often a waiting upstream is to say that it is alive; four of these without a byte break the connection.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromSeconds(25);
}
