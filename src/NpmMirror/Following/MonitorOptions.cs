using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;
using NpmMirror.Options;

namespace NpmMirror.Following;

/// <summary>How a monitor follows.</summary>
public sealed record MonitorOptions
{
    /// <summary>Where to begin when <see cref="RegistryMonitor.Start"/> is not told: a sequence, <c>0</c> for everything; null and <c>now</c> mean the head.</summary>
    public string? LastSeq { get; init; }

    /// <summary>How long to wait at the feed's head before asking again; zero: the feed's own delay.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>Tells of an update only when a version was published by it.</summary>
    public bool IsPublishOnly { get; init; }

    /// <summary>
    /// Ends when the feed turns out to have been reset, so that a mirror can compare everything first. False: tells
    /// about news among the newest rows, as far as it remembers, and goes on after them.
    /// </summary>
    public bool EndsAtReset { get; init; }

    /// <summary>Which life of the feed's database <see cref="RegistryMonitor.Start"/>'s sequence belongs to, if that is known.</summary>
    internal string? DatabaseId { get; init; }

    /// <summary>Where it counts.</summary>
    internal Meter Meter { get; init; } = Telemetry.Unread;

    /// <summary>The stretches before the cursor that are read again, if rows may appear late.</summary>
    public IReadOnlyList<TrailingWindow> Windows { get; init; } = TrailingWindow.Usual;

    /// <summary>The wait after the first failure; doubled by each one more.</summary>
    public TimeSpan FirstRetry { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest wait after a failure.</summary>
    public TimeSpan LongestRetry { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>The part of a mirror's options that a monitor uses.</summary>
    public static MonitorOptions From(MirrorOptions options) => new()
    {
        LastSeq = options.LastSeq,
        Delay = TimeSpan.FromMilliseconds(options.Delay),
        IsPublishOnly = options.PublishOnly,
        Windows = TrailingWindow.Of(options.Reread.Poll, options.Reread.Hourly, options.Reread.Daily),
    };
}
