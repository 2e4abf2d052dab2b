using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.Diagnostics;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>
/// The instruments of a mirror's answers. They are on the way of each answer: counting is a look-up and two additions, and makes no object. The sums are
/// read whenever metrics are collected.
/// </summary>
internal sealed class AnswerMetrics
{
    /// <summary>The instrument of requests.</summary>
    internal const string Requests = "npm_mirror.http.requests";

    /// <summary>The instrument of sent bytes.</summary>
    internal const string Sent = "npm_mirror.http.sent";

    private const int ShortBytes = 64 * 1024;

    // One for a mirror, however often it is mapped: two observed sums would replace each other.
    private static readonly ConditionalWeakTable<Meter, AnswerMetrics> OfMirrors = [];

    private readonly ConcurrentDictionary<Kind, Sums> _answers = new();
    private readonly Histogram<double> _durations;
    private readonly TimeProvider _time;

    private AnswerMetrics(Meter meter, TimeProvider time)
    {
        _time = time;
        _durations = meter.CreateDurations(
            "npm_mirror.http.request.duration", "The time from a request to the server until the last byte of its answer was handed to the connection, by route", 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30);
        meter.CreateObservableCounter(Requests, () => _answers.Select(one => one.Value.RequestsOf(one.Key)), "{request}", "Requests answered, by route, status and the part that answered: the server, or the connection before it");
        meter.CreateObservableCounter(Sent, () => _answers.Select(one => one.Value.SentOf(one.Key)), "By", "Bytes of bodies sent, by route, status and the part that answered");
    }

    /// <summary>Those of the mirror that measures in <paramref name="meter"/>.</summary>
    internal static AnswerMetrics Of(Meter meter, TimeProvider time) => OfMirrors.GetValue(meter, one => new AnswerMetrics(one, time));

    /// <summary>The moment that a request came.</summary>
    internal long Now() => _time.GetTimestamp();

    /// <summary>The server answered.</summary>
    internal void Count(HttpContext context, string route, long begunAt)
    {
        var response = context.Response;
        var hasBody = response.StatusCode != StatusCodes.Status304NotModified && !HttpMethods.IsHead(context.Request.Method);
        Count(route, response.StatusCode, hasBody ? SentBytes(context) : 0, begunAt);
    }

    /// <summary>The server answered with so many bytes.</summary>
    internal void Count(string route, int status, long sentBytes, long begunAt)
    {
        SumsOf(new Kind(route, status, IsShortcut: false)).Add(sentBytes);
        _durations.Record(_time.GetElapsedTime(begunAt).TotalSeconds, Telemetry.Tag("route", route));
    }

    /// <summary>The connection answered, before the server saw a request.</summary>
    internal void CountShortcut(string route, int status, long sentBytes) => SumsOf(new Kind(route, status, IsShortcut: true)).Add(sentBytes);

    private Sums SumsOf(Kind kind) => _answers.TryGetValue(kind, out var sums) ? sums : _answers.GetOrAdd(kind, new Sums());

    /// <summary>A short body goes out whole. For any other the writer knows how far it came.</summary>
    private static long SentBytes(HttpContext context) =>
        context.Response.ContentLength is { } length and <= ShortBytes ? length : context.Features.Get<PatientWriter>()?.WrittenBytes ?? context.Response.ContentLength ?? 0;

    /// <summary>Answers that are counted together. There are few: routes are patterns, and constants.</summary>
    private readonly record struct Kind(string Route, int Status, bool IsShortcut)
    {
        public bool Equals(Kind other) => ReferenceEquals(Route, other.Route) && Status == other.Status && IsShortcut == other.IsShortcut;

        public override int GetHashCode() => (RuntimeHelpers.GetHashCode(Route) * 1201) + (Status * 2) + (IsShortcut ? 1 : 0);
    }

    private sealed class Sums
    {
        private long _requests;
        private long _sentBytes;

        internal void Add(long sentBytes)
        {
            Interlocked.Increment(ref _requests);
            Interlocked.Add(ref _sentBytes, sentBytes);
        }

        internal Measurement<long> RequestsOf(Kind kind) => Of(kind, Interlocked.Read(ref _requests));

        internal Measurement<long> SentOf(Kind kind) => Of(kind, Interlocked.Read(ref _sentBytes));

        private static Measurement<long> Of(Kind kind, long value) =>
            new(value, Telemetry.Tag("by", kind.IsShortcut ? "connection" : "server"), Telemetry.Tag("route", kind.Route), Telemetry.Tag("status", kind.Status));
    }
}
