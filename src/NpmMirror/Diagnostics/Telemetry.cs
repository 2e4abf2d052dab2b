using System.Diagnostics.Metrics;

namespace NpmMirror.Diagnostics;

/// <summary>
/// The meters of mirrors. Each mirror has one of its own, so that two in one process do not count together; each folder adds its instruments
/// beside what they count.
/// </summary>
internal static class Telemetry
{
    /// <summary>What operators name to take a mirror's instruments into their own set-up.</summary>
    internal const string MeterName = "NpmMirror";

    /// <summary>For parts that are used without a mirror: nobody reads it. Only instruments that observe nothing may be made on it, because it is never disposed of.</summary>
    internal static readonly Meter Unread = new("NpmMirror.Unread");

    /// <summary>A mirror's meter, to be disposed of with it.</summary>
    /// <param name="scope">What tells it from those of other mirrors in the process.</param>
    internal static Meter Create(object scope) => new(new MeterOptions(MeterName) { Scope = scope });

    /// <summary>A histogram of durations in seconds.</summary>
    /// <param name="meter">The meter.</param>
    /// <param name="name">Its name.</param>
    /// <param name="description">What is measured.</param>
    /// <param name="bounds">Upper bounds of its buckets, in seconds.</param>
    internal static Histogram<double> CreateDurations(this Meter meter, string name, string description, params double[] bounds) =>
        meter.CreateHistogram(name, "s", description, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });

    /// <summary>One label of a measurement.</summary>
    internal static KeyValuePair<string, object?> Tag(string name, object? value) => new(name, value);
}
