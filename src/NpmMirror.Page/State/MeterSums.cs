using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace NpmMirror.Page.State;

/// <summary>The values of a mirror's instruments, as its metrics have them: read when the page wants them, so that the page counts nothing a second time.</summary>
internal sealed class MeterSums : IDisposable
{
    // Two gauges and nine counters with few labels each.
    private const int SeriesMax = 2_000;

    private static readonly HashSet<string> Read =
    [
        "npm_mirror.http.requests", "npm_mirror.http.sent", "npm_mirror.http.connections", "npm_mirror.tarballs.opened", "npm_mirror.tarballs.fetched", "npm_mirror.tarballs.stored",
        "npm_mirror.renditions.hits", "npm_mirror.renditions.made", "npm_mirror.feed.failures", "npm_mirror.upstream.pauses",
    ];

    private readonly ConcurrentDictionary<(string Instrument, string Labels), long> _sums = new();
    private readonly MeterListener _listener = new();

    /// <summary>Reads from now on: a counter that is no observable one begins at zero here.</summary>
    internal MeterSums(Meter meter)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (ReferenceEquals(instrument.Meter, meter) && Read.Contains(instrument.Name))
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Take(instrument, value, tags));
        _listener.Start();
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    /// <summary>Asks the observable instruments for their values now.</summary>
    internal void Collect() => _listener.RecordObservableInstruments();

    /// <summary>The sum over the series of an instrument whose labels (<c>route=/{package} status=200</c>) are wanted; 0 if there is none.</summary>
    internal long Sum(string instrument, Func<string, bool>? isWanted = null) =>
        _sums.Where(one => one.Key.Instrument == instrument && isWanted?.Invoke(one.Key.Labels) is not false).Sum(one => one.Value);

    private void Take(Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var key = (instrument.Name, LabelsOf(tags));
        if (instrument.IsObservable)
        {
            if (_sums.Count < SeriesMax)
            {
                _sums[key] = value;
            }
        }
        else if (_sums.Count < SeriesMax)
        {
            _sums.AddOrUpdate(key, value, (_, sum) => sum + value);
        }
    }

    private static string LabelsOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = "";
        foreach (var tag in tags)
        {
            labels += $" {tag.Key}={tag.Value} ";
        }

        return labels;
    }
}
