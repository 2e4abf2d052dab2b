using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;

namespace NpmMirror.Following;

/// <summary>The instruments of following.</summary>
internal sealed class FollowingMetrics(Meter meter)
{
    /// <summary>Rows found before the cursor that brought news.</summary>
    internal Counter<long> LateRows { get; } = meter.CreateCounter<long>("npm_mirror.feed.late_rows", "{row}", "Rows found before the cursor that brought something new");

    /// <summary>How long after the cursor had passed they were found.</summary>
    internal Histogram<double> LateBy { get; } = meter.CreateDurations("npm_mirror.feed.late_by", "How long after the cursor had passed late rows were found", 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400, 604_800);

    /// <summary>Rows read again before the cursor, known ones included.</summary>
    internal Counter<long> RowsReadAgain { get; } = meter.CreateCounter<long>("npm_mirror.feed.rows_read_again", "{row}", "Rows read again in the trailing windows");

    /// <summary>Failures of the loop that follows.</summary>
    internal Counter<long> Failures { get; } = meter.CreateCounter<long>("npm_mirror.feed.failures", "{failure}", "Times that following failed and was tried again");

    /// <summary>How far the follower lags the feed's head, in sequences; as last known.</summary>
    internal Gauge<long> LagSequences { get; } = meter.CreateGauge<long>("npm_mirror.feed.lag_sequences", "{sequence}", "Sequences between the last handled row and the feed's head, if they are numbers");

    /// <summary>How long the follower has not stood at the feed's head.</summary>
    internal Gauge<double> LagSeconds { get; } = meter.CreateGauge<double>("npm_mirror.feed.lag", "s", "How long the follower has not been at the feed's head; 0 at the head");
}
