using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;

namespace NpmMirror.Following;

/// <summary>What is measured of following.</summary>
internal static class FollowingMetrics
{
    /// <summary>Rows found behind the cursor that brought something.</summary>
    internal static readonly Counter<long> LateRows = Telemetry.Meter.CreateCounter<long>("npm_mirror.feed.late_rows", "{row}", "Rows found behind the cursor that brought something new");

    /// <summary>How long after the cursor had passed they were found.</summary>
    internal static readonly Histogram<double> LateBy = Telemetry.Meter.CreateHistogram<double>("npm_mirror.feed.late_by", "s", "How long after the cursor had passed late rows were found");

    /// <summary>Rows read behind the cursor, known ones included.</summary>
    internal static readonly Counter<long> RowsReadAgain = Telemetry.Meter.CreateCounter<long>("npm_mirror.feed.rows_read_again", "{row}", "Rows read again in the trailing windows");

    /// <summary>Failures of the loop that follows.</summary>
    internal static readonly Counter<long> Failures = Telemetry.Meter.CreateCounter<long>("npm_mirror.feed.failures", "{failure}", "Times that following failed and was tried again");

    /// <summary>How far behind the feed's head the follower is, in sequences; as last known.</summary>
    internal static readonly Gauge<long> LagSequences = Telemetry.Meter.CreateGauge<long>("npm_mirror.feed.lag_sequences", "{sequence}", "Sequences between the feed's head and what was handled, where they are numbers");

    /// <summary>How long the follower has not stood at the feed's head.</summary>
    internal static readonly Gauge<double> LagSeconds = Telemetry.Meter.CreateGauge<double>("npm_mirror.feed.lag", "s", "How long everything up to the feed's head was not handled; 0 at the head");
}
