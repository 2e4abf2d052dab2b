using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Diagnostics;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace NpmMirror.AspNetCore.Operations;

/// <summary>Answers <c>/metrics</c>: one mirror's instruments, and the runtime's, as OpenTelemetry's Prometheus exporter writes them.</summary>
internal sealed class MetricsEndpoint : IDisposable
{
    private const string RuntimeMeter = "System.Runtime";
    private const int SeriesMax = 200;

    private readonly MeterProvider _provider;
    private readonly RequestDelegate _scrape;

    /// <summary>Counts from now on.</summary>
    /// <param name="services">The host's.</param>
    /// <param name="scope">The scope of the mirror's meter.</param>
    internal MetricsEndpoint(IServiceProvider services, object scope)
    {
        // Memory for all series of an instrument is taken at once, for 2,000 if nothing is said. Only answers have so many, by route and status.
        var usual = new MetricStreamConfiguration { CardinalityLimit = SeriesMax };
        _provider = Sdk.CreateMeterProviderBuilder()
            .AddMeter(Telemetry.MeterName, RuntimeMeter)
            // Meters are chosen by name, and other mirrors of this process have meters of that name.
            .AddView(instrument => instrument.Meter.Name != RuntimeMeter && instrument.Meter.Scope != scope ? MetricStreamConfiguration.Drop : instrument.Name is AnswerMetrics.Requests or AnswerMetrics.Sent ? null : usual)
            .AddPrometheusExporter(exporter => (exporter.ScrapeResponseCacheDurationMilliseconds, exporter.ScopeInfoEnabled, exporter.TargetInfoEnabled) = (0, false, false))
            .Build();
        // The exporter's middleware cannot be made in another way.
        _scrape = new ApplicationBuilder(services).UseOpenTelemetryPrometheusScrapingEndpoint(_provider, _ => true, null, null, null).Build();
    }

    /// <inheritdoc/>
    public void Dispose() => _provider.Dispose();

    internal async Task HandleAsync(HttpContext context)
    {
        // The exporter has one text, and holds up other requests while it is written: a client that reads slowly must not write it.
        using var text = new MemoryStream();
        var response = context.Response;
        var body = response.Body;
        response.Body = text;
        try
        {
            await _scrape(context);
        }
        finally
        {
            response.Body = body;
        }

        response.ContentLength = text.Length;
        response.Headers.CacheControl = "no-store";
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await response.BodyWriter.WriteAsync(text.GetBuffer().AsMemory(0, (int)text.Length), context.RequestAborted);
        }
    }
}
