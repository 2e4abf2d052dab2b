using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Removals;

/// <summary>
/// Keeps one bad hour of the upstream from emptying the mirror: once more packages went within an hour than <see cref="RemovalBreaker"/> lets one
/// reconciliation remove, nothing more goes. It holds until the operator accepts, or until an hour has brought no more than is let pass.
/// The store tells the next process; this one counts its hours by the monotonic clock too, so that a wall clock that leaps ends none early.
/// </summary>
internal sealed partial class HourlyBreaker(IMetadataStore store, MirrorOptions options, TimeProvider time, ILogger logger) : IDisposable
{
    private const int DemandedMax = 100_000;

    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Bucket = TimeSpan.FromMinutes(5);

    private readonly SemaphoreSlim _turn = new(1);
    private readonly Dictionary<PackageName, long> _demanded = [];
    private readonly List<(long At, int Count)> _removed = [];
    private long? _heldSince;

    /// <summary>Null when the package may go, which is counted; else why it stays for now.</summary>
    internal async Task<string?> FindReasonAsync(PackageName name, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            return await DecideAsync(name, cancellationToken);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    private async Task<string?> DecideAsync(PackageName name, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var state = await RemovalState.ReadAsync(store, cancellationToken);
        state = state with { Removed = WithinHour(state.Removed, now) };
        var removed = Math.Max(state.Removed.Values.Sum(), RemovedHere());
        var most = RemovalBreaker.RemovalsMax((await store.CountAsync(cancellationToken)).Packages + removed);
        if (!options.AcceptRemovals && !state.IsAccepted(now))
        {
            if (state.HeldSince is not null)
            {
                _heldSince ??= time.GetTimestamp();
                Demand(name);
                if (!IsOver(_heldSince.Value, most))
                {
                    await KeepHeldAsync(state, now, cancellationToken);
                    return state.Reason;
                }

                LogOver();
            }
            else if (removed >= most)
            {
                _heldSince = time.GetTimestamp();
                var reason = string.Create(CultureInfo.InvariantCulture, $"{most} packages were removed within an hour, which is the limit");
                LogHeldBack(reason);
                await (state with { HeldSince = now, HeldAt = now, Reason = reason }).KeepAsync(store, cancellationToken);
                return reason;
            }
        }

        // Counted before the removal: a crash may count one too many, never one too few.
        state.Removed[BucketOf(now)] = state.Removed.GetValueOrDefault(BucketOf(now)) + 1;
        CountHere();
        _demanded.Remove(name);
        _heldSince = null;
        await (state with { HeldSince = null, HeldAt = null, Reason = null }).KeepAsync(store, cancellationToken);
        return null;
    }

    /// <summary>Each package held back is tried again every quarter of an hour at most: an hour shows how many there are.</summary>
    private bool IsOver(long since, long most) => time.GetElapsedTime(since) >= Hour && _demanded.Values.Count(at => time.GetElapsedTime(at) < Hour) <= most;

    /// <summary>The removals of the last hour; those that a clock noted that was ahead count as of now.</summary>
    private static Dictionary<long, int> WithinHour(Dictionary<long, int> removed, DateTimeOffset now) => removed
        .Where(bucket => bucket.Key > (now - Hour).ToUnixTimeSeconds())
        .GroupBy(bucket => Math.Min(bucket.Key, BucketOf(now)))
        .ToDictionary(bucket => bucket.Key, bucket => bucket.Sum(one => one.Value));

    private static long BucketOf(DateTimeOffset now) => now.ToUnixTimeSeconds() / (long)Bucket.TotalSeconds * (long)Bucket.TotalSeconds;

    /// <summary>How many removals this process allowed within the last hour.</summary>
    private int RemovedHere()
    {
        _removed.RemoveAll(bucket => time.GetElapsedTime(bucket.At) >= Hour);
        return _removed.Sum(bucket => bucket.Count);
    }

    private void CountHere()
    {
        if (_removed.Count > 0 && time.GetElapsedTime(_removed[^1].At) < Bucket)
        {
            _removed[^1] = _removed[^1] with { Count = _removed[^1].Count + 1 };
        }
        else
        {
            _removed.Add((time.GetTimestamp(), 1));
        }
    }

    private void Demand(PackageName name)
    {
        if (_demanded.Count >= DemandedMax)
        {
            foreach (var old in _demanded.Where(demanded => time.GetElapsedTime(demanded.Value) >= Hour).Select(demanded => demanded.Key).ToList())
            {
                _demanded.Remove(old);
            }
        }

        if (_demanded.Count < DemandedMax)
        {
            _demanded[name] = time.GetTimestamp();
        }
    }

    private async Task KeepHeldAsync(RemovalState state, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (!(now - state.HeldAt is { } age && age.Duration() < TimeSpan.FromMinutes(1)))
        {
            await (state with { HeldAt = now }).KeepAsync(store, cancellationToken);
        }
    }

    [LoggerMessage(EventIds.Mirror + 240, LogLevel.Error, "Removals are held back: {Reason}; if that is right, run npm-mirror reconcile --accept-removals")]
    private partial void LogHeldBack(string reason);

    [LoggerMessage(EventIds.Mirror + 241, LogLevel.Information, "Removals go on: those of the last hour are within the hourly limit")]
    private partial void LogOver();
}

/// <summary>The follower's removals within the last hour, and whether more are held back.</summary>
public sealed record RemovalState
{
    private static readonly TimeSpan Acceptance = TimeSpan.FromDays(1);

    /// <summary>Removals by the beginning of five minutes, in Unix seconds.</summary>
    public Dictionary<long, int> Removed { get; init; } = [];

    /// <summary>Since when removals are held back; null when they are not.</summary>
    public DateTimeOffset? HeldSince { get; init; }

    /// <summary>When one was held back last, to the minute.</summary>
    public DateTimeOffset? HeldAt { get; init; }

    /// <summary>Why.</summary>
    public string? Reason { get; init; }

    /// <summary>Until when the operator accepts all.</summary>
    public DateTimeOffset? AcceptedUntil { get; init; }

    /// <summary>Whether removals are held back now: some were asked for within the hour. A time noted by a fast clock is not within this hour.</summary>
    public bool IsHeld(DateTimeOffset now) => HeldSince is not null && now - HeldAt is { } age && age.Duration() < TimeSpan.FromHours(1);

    /// <summary>Whether the operator accepts all now. An end that is further away than any acceptance lasts was noted by a clock that was ahead.</summary>
    internal bool IsAccepted(DateTimeOffset now) => now < AcceptedUntil && AcceptedUntil - now <= Acceptance;

    /// <summary>That of a store.</summary>
    public static async ValueTask<RemovalState> ReadAsync(IMetadataStore store, CancellationToken cancellationToken) =>
        await store.Notes.FindAsync(MirrorCursors.Removals, RemovalStateJson.Default.RemovalState, cancellationToken) ?? new RemovalState();

    /// <summary>Lets all removals go on for a day.</summary>
    internal static async ValueTask AcceptAsync(IMetadataStore store, DateTimeOffset now, CancellationToken cancellationToken) =>
        await new RemovalState { AcceptedUntil = now + Acceptance }.KeepAsync(store, cancellationToken);

    internal ValueTask KeepAsync(IMetadataStore store, CancellationToken cancellationToken) =>
        store.Notes.SetNoteAsync(MirrorCursors.Removals, JsonSerializer.Serialize(this, RemovalStateJson.Default.RemovalState), cancellationToken);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RemovalState))]
internal sealed partial class RemovalStateJson : JsonSerializerContext;
