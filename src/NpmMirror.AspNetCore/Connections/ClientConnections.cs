using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;

namespace NpmMirror.AspNetCore.Connections;

/// <summary>
/// The limit on connections of clients, below the process's own on open files: a process that has none left can neither store nor fetch. At the limit
/// the connections that have been idle longest are closed, then those of followers that have waited longest; a new client waits for that and is not refused.
/// </summary>
internal sealed partial class ClientConnections(int max, TimeProvider time, ILogger<ClientConnections> logger)
{
    /// <summary>A client that has just connected, or has just been answered, is about to ask.</summary>
    internal static readonly TimeSpan IdleAtLeast = TimeSpan.FromSeconds(1);

    /// <summary>A new client that has waited for so long takes the place of one that asks all the time: its next pause is enough.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan PauseAtLeast = TimeSpan.FromMilliseconds(50);

    /// <summary>A follower that is cut off comes again at once: more of them than there is room for must not chase each other.</summary>
    internal static readonly TimeSpan WaitingAtLeast = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan LookAgainAfter = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan TellEvery = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<ClientConnection, bool> _all = new();
    private readonly Lock _lock = new();
    private TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _count;
    private int _waiting;
    private long? _toldAt;

    /// <summary>Connections now.</summary>
    internal int Count => Volatile.Read(ref _count);

    /// <summary>How many of them are idle.</summary>
    internal int IdleCount => _all.Count(one => one.Key.IdleFor is not null);

    /// <summary>On how many a follower waits for something to tell.</summary>
    internal int FollowerCount => _all.Count(one => one.Key.WaitingFor is not null);

    /// <summary>Whether a new client waits for room.</summary>
    internal bool IsFull => Volatile.Read(ref _waiting) > 0;

    /// <summary>Whether one that was closed for a new client is not over yet.</summary>
    internal bool IsAnyLeaving => _all.Any(one => one.Key.IsLeaving);

    private bool HasRoom => Count < max;

    /// <summary>Lets a mirror's operators see how many there are.</summary>
    internal void MeasureIn(Meter meter) => meter.CreateObservableGauge("npm_mirror.http.connections", Measure, "{connection}", "Connections of clients now, by state: answered, waiting (a follower with nothing new to tell), idle");

    private IEnumerable<Measurement<int>> Measure()
    {
        var (count, idle, waiting) = (Count, IdleCount, FollowerCount);
        return
        [
            new(Math.Max(0, count - idle - waiting), Telemetry.Tag("state", "answered")),
            new(waiting, Telemetry.Tag("state", "waiting")),
            new(idle, Telemetry.Tag("state", "idle")),
        ];
    }

    /// <summary>Waits until there is room for one more, and counts it.</summary>
    internal async Task AdmitAsync(ConnectionContext connection, CancellationToken cancellationToken)
    {
        if (!HasRoom)
        {
            await MakeRoomAsync(cancellationToken);
        }

        var client = new ClientConnection(this, connection, time);
        _all[client] = true;
        Interlocked.Increment(ref _count);
        connection.Features.Set(client);
    }

    /// <summary>One is over.</summary>
    internal void Remove(ClientConnection client)
    {
        if (_all.TryRemove(client, out _))
        {
            Interlocked.Decrement(ref _count);
            if (IsFull)
            {
                Interlocked.Exchange(ref _left, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
            }
        }
    }

    private async Task MakeRoomAsync(CancellationToken cancellationToken)
    {
        Tell();
        var begun = time.GetTimestamp();
        Interlocked.Increment(ref _waiting);
        try
        {
            while (true)
            {
                // Taken before the look: one that leaves in between is not missed.
                var left = Volatile.Read(ref _left).Task;
                if (HasRoom)
                {
                    return;
                }

                CloseSome(time.GetElapsedTime(begun) < Patience ? IdleAtLeast : PauseAtLeast);
                await Task.WhenAny(left, Task.Delay(LookAgainAfter, time, cancellationToken));
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    /// <summary>Closes the connections that have been idle longest: one, or a hundredth of all at once, since each look costs as much as there are connections.</summary>
    private void CloseSome(TimeSpan idleAtLeast)
    {
        lock (_lock)
        {
            if (IsAnyLeaving)
            {
                return;
            }

            var isAnyClosed = false;
            foreach (var client in Oldest(client => client.IdleFor, idleAtLeast, Math.Max(1, max / 100)))
            {
                isAnyClosed |= client.TryCloseIdle();
            }

            if (!isAnyClosed)
            {
                Oldest(client => client.WaitingFor, WaitingAtLeast, 1).ForEach(client => client.TryCloseWaiting());
            }
        }
    }

    private List<ClientConnection> Oldest(Func<ClientConnection, TimeSpan?> age, TimeSpan least, int count) =>
        [.. _all.Select(one => (Client: one.Key, Age: age(one.Key))).Where(one => one.Age >= least).OrderByDescending(one => one.Age).Take(count).Select(one => one.Client)];

    private void Tell()
    {
        lock (_lock)
        {
            if (!(_toldAt is { } at && time.GetElapsedTime(at) < TellEvery))
            {
                _toldAt = time.GetTimestamp();
                LogFull(max);
            }
        }
    }

    [LoggerMessage(EventIds.AspNetCore + 10, LogLevel.Warning, "{Max} clients are connected, which is the limit: the connections that have been idle longest are closed, and new clients wait; raise the limit on open files (ulimit -n) if these clients are yours")]
    private partial void LogFull(int max);
}
