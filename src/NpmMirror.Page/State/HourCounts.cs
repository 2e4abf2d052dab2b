using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror.Hosting;

namespace NpmMirror.Page.State;

/// <summary>
/// What this machine answered and held in each hour of the last 30 days. Counted from the metrics every five minutes and kept as one note of some ten KB; a process that dies loses the last
/// minutes.
/// </summary>
internal sealed class HourCounts : IDisposable
{
    internal const int HoursMax = 30 * 24;

    internal static readonly TimeSpan NoteEvery = TimeSpan.FromMinutes(5);

    private readonly Mirror _mirror;
    private readonly MeterSums _sums;
    private readonly CancellationTokenSource _ending = new();
    private TrafficSums _counted = new(0, 0, 0, 0, 0, 0);
    private volatile HourCount[] _hours = [];

    internal HourCounts(Mirror mirror, MeterSums sums)
    {
        (_mirror, _sums) = (mirror, sums);
        Running = Task.Run(RunAsync);
    }

    /// <summary>The key of the note. Nodes that share a store have one each.</summary>
    internal static string NoteKey => "page:hours:" + Environment.MachineName;

    /// <summary>The hours of the last 30 days that something is known of, oldest first.</summary>
    internal IReadOnlyList<HourCount> Hours => Shown(_hours);

    internal Task Running { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ending.Cancel();
        _ending.Dispose();
    }

    /// <summary>Those of 30 days until the last one.</summary>
    internal static IReadOnlyList<HourCount> Shown(IReadOnlyList<HourCount> hours) => [.. hours.Where(one => one.Hour > hours[^1].Hour - HoursMax)];

    private async Task RunAsync()
    {
        var cancelled = _ending.Token;
        try
        {
            using var timer = new PeriodicTimer(NoteEvery, _mirror.Time);
            var isRead = false;
            do
            {
                try
                {
                    if (!isRead)
                    {
                        _hours = Read(await _mirror.Store.Notes.FindNoteAsync(NoteKey, cancelled));
                        isRead = true;
                    }

                    await NoteAsync(cancelled);
                }
                catch (MirrorException)
                {
                    // The store is in trouble, which the state tells; the next time counts what was not noted.
                }
            }
            while (await timer.WaitForNextTickAsync(cancelled));
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The end of the server.
        }
    }

    private async Task NoteAsync(CancellationToken cancellationToken)
    {
        var held = await _mirror.Store.CountAsync(cancellationToken);
        _sums.Collect();
        var now = TrafficSums.Of(_sums);
        var hour = _mirror.Time.GetUtcNow().ToUnixTimeSeconds() / 3600;
        var last = _hours.LastOrDefault(one => one.Hour == hour) ?? new HourCount(hour, 0, 0, 0, 0, 0, 0);
        var current = last with
        {
            Requests = last.Requests + now.Requests - _counted.Requests,
            SentBytes = last.SentBytes + now.SentBytes - _counted.SentBytes,
            TarballRequests = last.TarballRequests + now.TarballRequests - _counted.TarballRequests,
            TarballsFetched = last.TarballsFetched + now.TarballsFetched - _counted.TarballsFetched,
            TarballBytes = held.TarballBytes,
            Packages = held.Packages,
        };
        // A clock that was ahead has noted hours that are not yet. It pushes no other out: their number is bounded, not their age.
        HourCount[] hours = [.. _hours.Where(one => one.Hour < hour).TakeLast(HoursMax - 1), current];
        await _mirror.Store.Notes.SetNoteAsync(NoteKey, JsonSerializer.Serialize([.. hours.Select(one => one.ToNumbers())], HourCountJson.Default.Int64ArrayArray), cancellationToken);
        (_hours, _counted) = (hours, now);
    }

    private static HourCount[] Read(string? text)
    {
        try
        {
            return text is null ? [] : [.. (JsonSerializer.Deserialize(text, HourCountJson.Default.Int64ArrayArray) ?? []).Select(HourCount.FromNumbers).OfType<HourCount>().OrderBy(one => one.Hour).TakeLast(HoursMax)];
        }
        catch (JsonException)
        {
            // Nothing but the charts depends on it.
            return [];
        }
    }
}

/// <summary>One hour.</summary>
/// <param name="Hour">Hours since the beginning of 1970, UTC.</param>
/// <param name="Requests">Requests answered.</param>
/// <param name="SentBytes">Bytes of bodies sent.</param>
/// <param name="TarballRequests">Tarballs answered.</param>
/// <param name="TarballsFetched">Tarballs downloaded from the upstream.</param>
/// <param name="TarballBytes">Bytes of tarballs held at its end.</param>
/// <param name="Packages">Packages held at its end.</param>
internal sealed record HourCount(long Hour, long Requests, long SentBytes, long TarballRequests, long TarballsFetched, long TarballBytes, long Packages)
{
    internal long[] ToNumbers() => [Hour, Requests, SentBytes, TarballRequests, TarballsFetched, TarballBytes, Packages];

    internal static HourCount? FromNumbers(long[]? numbers) => numbers is [var hour, var requests, var sent, var tarballs, var fetched, var bytes, var packages, ..] ? new HourCount(hour, requests, sent, tarballs, fetched, bytes, packages) : null;
}

[JsonSerializable(typeof(long[][]))]
internal sealed partial class HourCountJson : JsonSerializerContext;
