using System.Diagnostics.Metrics;

namespace NpmMirror.Diagnostics;

/// <summary>
/// The meters of mirrors. Each mirror has its own, so that two in one process do not count together; each folder defines its instruments
/// beside the code that they measure.
/// </summary>
internal static class Telemetry
{
    /// <summary>The meter's name, for operators who export a mirror's instruments themselves.</summary>
    internal const string MeterName = "NpmMirror";

    /// <summary>A meter without readers, for parts that are used without a mirror. It is never disposed of, so only instruments without observers may be made on it.</summary>
    internal static readonly Meter Unread = new("NpmMirror.Unread");

    /// <summary>A mirror's meter, to be disposed of with it.</summary>
    /// <param name="scope">Distinguishes it from those of other mirrors in the process.</param>
    internal static Meter Create(object scope) => new(new MeterOptions(MeterName) { Scope = scope });

    /// <summary>A histogram of durations in seconds.</summary>
    /// <param name="meter">The meter.</param>
    /// <param name="name">Its name.</param>
    /// <param name="description">The meaning of the values.</param>
    /// <param name="bounds">Upper bounds of its buckets, in seconds.</param>
    internal static Histogram<double> CreateDurations(this Meter meter, string name, string description, params double[] bounds) =>
        meter.CreateHistogram(name, "s", description, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = bounds });

    /// <summary>One label of a measurement.</summary>
    internal static KeyValuePair<string, object?> Tag(string name, object? value) => new(name, value);
}
