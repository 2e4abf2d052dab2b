using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

/// <summary>
/// Keeps one bad hour of the upstream from emptying the mirror: once more packages went within an hour than <see cref="RemovalBreaker"/> lets one
/// reconciliation remove, nothing more goes. It holds until the operator accepts, or until an hour has brought no more than is let pass.
/// </summary>
internal sealed partial class HourlyBreaker(IMetadataStore store, MirrorOptions options, TimeProvider time, ILogger logger) : IDisposable
{
    private const int DemandedMax = 100_000;

    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly TimeSpan Bucket = TimeSpan.FromMinutes(5);

    private readonly SemaphoreSlim _turn = new(1);
    private readonly Dictionary<PackageName, DateTimeOffset> _demanded = [];
    private readonly DateTimeOffset _startedAt = time.GetUtcNow();

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
        state = state with { Removed = state.Removed.Where(bucket => bucket.Key > (now - Hour).ToUnixTimeSeconds() && bucket.Key <= now.ToUnixTimeSeconds()).ToDictionary() };
        var most = RemovalBreaker.RemovalsMax((await store.CountAsync(cancellationToken)).Packages + state.Removed.Values.Sum());
        if (!options.AcceptRemovals && !(now < state.AcceptedUntil))
        {
            if (state.HeldSince is { } since)
            {
                Demand(name, now);
                if (!IsOver(since, now, most))
                {
                    await KeepHeldAsync(state, now, cancellationToken);
                    return state.Reason;
                }

                LogOver();
            }
            else if (state.Removed.Values.Sum() >= most)
            {
                Demand(name, now);
                var reason = string.Create(CultureInfo.InvariantCulture, $"{most} packages went within an hour, and no more go in one");
                LogHeldBack(reason);
                await (state with { HeldSince = now, HeldAt = now, Reason = reason }).KeepAsync(store, cancellationToken);
                return reason;
            }
        }

        // Counted before it goes: a crash may count one too many, never one too few.
        var bucket = now.ToUnixTimeSeconds() / (long)Bucket.TotalSeconds * (long)Bucket.TotalSeconds;
        state.Removed[bucket] = state.Removed.GetValueOrDefault(bucket) + 1;
        _demanded.Remove(name);
        await (state with { HeldSince = null, HeldAt = null, Reason = null }).KeepAsync(store, cancellationToken);
        return null;
    }

    /// <summary>Each package held back is tried again every quarter of an hour at most: an hour shows how many there are.</summary>
    private bool IsOver(DateTimeOffset since, DateTimeOffset now, long most) =>
        now - since >= Hour && now - _startedAt >= Hour && _demanded.Values.Count(at => at > now - Hour) <= most;

    private void Demand(PackageName name, DateTimeOffset now)
    {
        if (_demanded.Count >= DemandedMax)
        {
            foreach (var old in _demanded.Where(demanded => demanded.Value <= now - Hour).Select(demanded => demanded.Key).ToList())
            {
                _demanded.Remove(old);
            }
        }

        if (_demanded.Count < DemandedMax)
        {
            _demanded[name] = now;
        }
    }

    private async Task KeepHeldAsync(RemovalState state, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (now - state.HeldAt >= TimeSpan.FromMinutes(1))
        {
            await (state with { HeldAt = now }).KeepAsync(store, cancellationToken);
        }
    }

    [LoggerMessage(EventIds.Mirroring + 240, LogLevel.Error, "Removals are held back: {Reason}; if that is right, run npm-mirror reconcile --accept-removals")]
    private partial void LogHeldBack(string reason);

    [LoggerMessage(EventIds.Mirroring + 241, LogLevel.Information, "Removals go on: in the last hour no more were asked for than go in one")]
    private partial void LogOver();
}

/// <summary>What the follower removed within the last hour, and whether more is held back.</summary>
public sealed record RemovalState
{
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

    /// <summary>Whether removals are held back now: some were asked for within the hour.</summary>
    public bool IsHeld(DateTimeOffset now) => HeldSince is not null && now - HeldAt < TimeSpan.FromHours(1);

    /// <summary>That of a store.</summary>
    public static async ValueTask<RemovalState> ReadAsync(IMetadataStore store, CancellationToken cancellationToken) =>
        await store.GetCursorAsync(MirrorCursors.Removals, cancellationToken) is { } text && JsonSerializer.Deserialize(text, RemovalStateJson.Default.RemovalState) is { } state ? state : new RemovalState();

    /// <summary>Lets all removals go on for a day.</summary>
    internal static async ValueTask AcceptAsync(IMetadataStore store, DateTimeOffset now, CancellationToken cancellationToken) =>
        await new RemovalState { AcceptedUntil = now + TimeSpan.FromDays(1) }.KeepAsync(store, cancellationToken);

    internal ValueTask KeepAsync(IMetadataStore store, CancellationToken cancellationToken) =>
        store.SetCursorAsync(MirrorCursors.Removals, JsonSerializer.Serialize(this, RemovalStateJson.Default.RemovalState), cancellationToken);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RemovalState))]
internal sealed partial class RemovalStateJson : JsonSerializerContext;
