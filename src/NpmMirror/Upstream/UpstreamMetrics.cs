using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;

namespace NpmMirror.Upstream;

/// <summary>The instruments of requests to the upstream.</summary>
internal sealed class UpstreamMetrics(Meter meter)
{
    private readonly Histogram<double> _durations = meter.CreateDurations(
        "npm_mirror.upstream.request.duration", "How long the upstream took to answer with headers, by kind and status; each redirect is a request", 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30);

    /// <summary>A request has ended, with an answer or without.</summary>
    /// <param name="request">The request.</param>
    /// <param name="status">The status of the answer; a word if there was none.</param>
    /// <param name="duration">The time that it took.</param>
    internal void Note(UpstreamRequest request, object status, TimeSpan duration) =>
        _durations.Record(duration.TotalSeconds, Telemetry.Tag("kind", KindOf(request)), Telemetry.Tag("status", status));

    private static string KindOf(UpstreamRequest request) => request.Purpose switch
    {
        _ when request.IsTarball => "tarball",
        RequestPurpose.Search => "search",
        RequestPurpose.Audit or RequestPurpose.InstallAudit => "audit",
        RequestPurpose.Keys => "keys",
        RequestPurpose.Attestations => "attestations",
        _ => request.Kind,
    };
}
