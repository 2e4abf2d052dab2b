using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;

namespace NpmMirror.Storage;

/// <summary>How long the metadata store takes where clients or the queue wait for it.</summary>
internal sealed class StoreMetrics(Meter meter, TimeProvider time)
{
    private readonly Histogram<double> _durations = meter.CreateDurations(
        "npm_mirror.store.duration", "How long the metadata store took: find (a row), read (a row with its document), commit", 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5);

    /// <summary>Measures the time of <paramref name="run"/>, unless it fails.</summary>
    internal async ValueTask<T> MeasureAsync<T>(string operation, Func<ValueTask<T>> run)
    {
        var begun = time.GetTimestamp();
        var result = await run();
        _durations.Record(time.GetElapsedTime(begun).TotalSeconds, Telemetry.Tag("operation", operation));
        return result;
    }
}
