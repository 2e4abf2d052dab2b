using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.Diagnostics;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>What is measured of answers. Part of the way of each one: no measurement makes an object.</summary>
internal sealed class AnswerMetrics(Meter meter, TimeProvider time)
{
    // Made once: a number that becomes a label would else be an object of its own each time.
    private static readonly object[] Statuses = [.. Enumerable.Range(0, 600).Select(status => (object)status)];

    private readonly Counter<long> _requests = meter.CreateCounter<long>("npm_mirror.http.requests", "{request}", "Requests answered, by route, status and who answered: the server, or the connection before it");
    private readonly Counter<long> _sent = meter.CreateCounter<long>("npm_mirror.http.sent", "By", "Bytes of bodies sent, by route");
    private readonly Histogram<double> _durations = meter.CreateDurations(
        "npm_mirror.http.request.duration", "How long requests took that the server answered, until the last byte was handed to the connection, by route", 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30);

    /// <summary>The moment that a request came.</summary>
    internal long Now() => time.GetTimestamp();

    /// <summary>The server answered.</summary>
    internal void Count(HttpContext context, string route, long begunAt)
    {
        var response = context.Response;
        var hasBody = response.StatusCode != StatusCodes.Status304NotModified && !HttpMethods.IsHead(context.Request.Method);
        Count(route, response.StatusCode, hasBody ? context.Features.Get<PatientWriter>()?.WrittenBytes ?? response.ContentLength ?? 0 : 0, begunAt);
    }

    /// <summary>The server answered with so many bytes.</summary>
    internal void Count(string route, int status, long sentBytes, long begunAt)
    {
        Count(route, status, "server", sentBytes);
        _durations.Record(time.GetElapsedTime(begunAt).TotalSeconds, Telemetry.Tag("route", route));
    }

    /// <summary>The connection answered, before the server saw a request.</summary>
    internal void CountShortcut(string route, int status, long sentBytes) => Count(route, status, "connection", sentBytes);

    private void Count(string route, int status, string by, long sentBytes)
    {
        _requests.Add(1, Telemetry.Tag("route", route), Telemetry.Tag("status", (uint)status < (uint)Statuses.Length ? Statuses[status] : Statuses[0]), Telemetry.Tag("by", by));
        if (sentBytes > 0)
        {
            _sent.Add(sentBytes, Telemetry.Tag("route", route));
        }
    }
}
