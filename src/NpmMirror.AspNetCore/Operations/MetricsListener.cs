using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;

namespace NpmMirror.AspNetCore.Operations;

/// <summary>How a metric is read.</summary>
internal enum MetricKind
{
    /// <summary>Only grows.</summary>
    Counter,

    /// <summary>Goes up and down.</summary>
    Gauge,

    /// <summary>A count and a sum of measurements.</summary>
    Summary,
}

/// <summary>One instrument with its series by labels (<c>{a="b"}</c>, or nothing).</summary>
internal sealed record MetricFamily(string Name, string Help, MetricKind Kind, ConcurrentDictionary<string, MetricSeries> Series);

/// <summary>What was measured under one set of labels.</summary>
internal sealed class MetricSeries
{
    private readonly Lock _lock = new();

    internal double Sum { get; private set; }

    internal long Count { get; private set; }

    internal void Add(double value)
    {
        lock (_lock)
        {
            Sum += value;
            Count++;
        }
    }

    internal void Set(double value)
    {
        lock (_lock)
        {
            Sum = value;
        }
    }
}

/// <summary>Listens to the instruments of the library's meters and keeps their values for whoever scrapes.</summary>
internal sealed class MetricsListener : IDisposable
{
    private const string MeterPrefix = "NpmMirror";

    /// <summary>A label that takes endless values must not fill the memory.</summary>
    private const int SeriesMax = 1_000;

    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<Instrument, MetricFamily> _families = new();

    internal MetricsListener()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name.StartsWith(MeterPrefix, StringComparison.Ordinal))
            {
                var family = _families.GetOrAdd(instrument, FamilyOf);
                // Observed values and gauges are totals of their moment; the others are to be added up.
                listener.EnableMeasurementEvents(instrument, instrument.IsObservable || instrument.GetType().Name.StartsWith("Gauge", StringComparison.Ordinal) ? new Observed(family) : family);
            }
        };
        _listener.SetMeasurementEventCallback<long>((_, value, tags, family) => Note(family, value, tags));
        _listener.SetMeasurementEventCallback<int>((_, value, tags, family) => Note(family, value, tags));
        _listener.SetMeasurementEventCallback<double>((_, value, tags, family) => Note(family, value, tags));
        _listener.Start();
    }

    public void Dispose() => _listener.Dispose();

    /// <summary>All families with their values of this moment.</summary>
    internal IReadOnlyList<MetricFamily> Collect()
    {
        _listener.RecordObservableInstruments();
        return [.. _families.Values.OrderBy(family => family.Name, StringComparer.Ordinal)];
    }

    private static void Note(object? state, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var (family, isSet) = state is Observed observed ? (observed.Family, true) : ((MetricFamily)state!, false);
        var labels = LabelsOf(tags);
        if (!family.Series.TryGetValue(labels, out var series))
        {
            if (family.Series.Count >= SeriesMax)
            {
                return;
            }

            series = family.Series.GetOrAdd(labels, _ => new MetricSeries());
        }

        if (isSet)
        {
            series.Set(value);
        }
        else
        {
            series.Add(value);
        }
    }

    private static string LabelsOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty)
        {
            return "";
        }

        var text = new StringBuilder("{");
        foreach (var (name, value) in tags)
        {
            text.Append(text.Length > 1 ? "," : "").Append(NameOf(name)).Append("=\"")
                .Append(value?.ToString()?.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal))
                .Append('"');
        }

        return text.Append('}').ToString();
    }

    private static MetricFamily FamilyOf(Instrument instrument)
    {
        var type = instrument.GetType().Name;
        var kind = type.StartsWith("Histogram", StringComparison.Ordinal) ? MetricKind.Summary
            : type.StartsWith("Counter", StringComparison.Ordinal) || type.StartsWith("ObservableCounter", StringComparison.Ordinal) ? MetricKind.Counter
            : MetricKind.Gauge;
        return new MetricFamily(NameOf(instrument.Name), instrument.Description ?? "", kind, new ConcurrentDictionary<string, MetricSeries>(StringComparer.Ordinal));
    }

    private static string NameOf(string name)
    {
        var text = new StringBuilder(name.Length);
        foreach (var c in name)
        {
            text.Append(char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '_');
        }

        return text.ToString();
    }

    private sealed record Observed(MetricFamily Family);
}
