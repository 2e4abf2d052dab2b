using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace NpmMirror;

/// <summary>
/// One run of a piece of work for each key, shared by all callers meanwhile. A run belongs to no caller: one that leaves does not end
/// it. It is over before its result is told, so that the next call begins another run.
/// </summary>
internal sealed class SingleFlight<TKey, TValue>
    where TKey : notnull
{
    private static readonly TimeSpan LastRunsWait = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<TKey, Flight<TValue>> _flights = new();
    private readonly string _name;
    private readonly int _max;
    private readonly TimeProvider _time;

    /// <summary>Nothing is under way.</summary>
    /// <param name="name">The work's name in metrics.</param>
    /// <param name="max">The limit of concurrent runs.</param>
    /// <param name="time">The clock.</param>
    /// <param name="meter">Counts the runs under way, in one instrument for all; null: they are not counted.</param>
    internal SingleFlight(string name, int max, TimeProvider time, Meter? meter)
    {
        (_name, _max, _time) = (name, max, time);
        meter?.CreateObservableGauge("npm_mirror.shared_work.underway", () => new Measurement<int>(_flights.Count, new KeyValuePair<string, object?>("work", name)), "{run}", "Pieces of shared work under way, by kind");
    }

    /// <summary>The runs under way.</summary>
    internal IEnumerable<Flight<TValue>> Underway => _flights.Values;

    /// <summary>The run that is under way for a key, or null.</summary>
    internal Flight<TValue>? Find(TKey key) => _flights.GetValueOrDefault(key);

    /// <summary>The run that is under way for a key, or a new one; null when there are too many.</summary>
    internal Flight<TValue>? TryJoin(TKey key, Func<Task<TValue>> run)
    {
        if (_flights.TryGetValue(key, out var known) || _flights.Count >= _max)
        {
            return known;
        }

        var mine = new Flight<TValue>(_time.GetTimestamp());
        var flight = _flights.GetOrAdd(key, mine);
        if (flight == mine)
        {
            _ = RunAsync(key, mine, run);
        }

        return flight;
    }

    /// <summary>As <see cref="TryJoin"/>.</summary>
    /// <exception cref="MirrorException">There are too many.</exception>
    internal Flight<TValue> Join(TKey key, Func<Task<TValue>> run) => TryJoin(key, run)
        ?? throw new MirrorException(MirrorFault.UpstreamBusy, $"This mirror has {_max} {_name} under way; ask again.", isTransient: true, TimeSpan.FromSeconds(5));

    /// <summary>Waits for the runs under way, but not for long.</summary>
    internal Task WaitForLastAsync() => Task.WhenAny(Task.WhenAll(_flights.Values.Select(flight => flight.Result)), Task.Delay(LastRunsWait, _time, CancellationToken.None));

    private async Task RunAsync(TKey key, Flight<TValue> flight, Func<Task<TValue>> run)
    {
        var running = Task.Run(run, CancellationToken.None);
        await ((Task)running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _flights.TryRemove(key, out _);
        flight.End(running);
    }
}

/// <summary>One run of work that is shared.</summary>
/// <param name="begunAt">When it was begun, by the clock's timestamp.</param>
internal sealed class Flight<TValue>(long begunAt)
{
    private readonly TaskCompletionSource<TValue> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>When it was begun, by the clock's timestamp.</summary>
    internal long BegunAt => begunAt;

    /// <summary>Ends as the run ends.</summary>
    internal Task<TValue> Result => _result.Task;

    internal void End(Task<TValue> run)
    {
        _result.SetFromTask(run);
        // All callers may have left: a failure that no caller sees is no mistake.
        _ = _result.Task.Exception;
    }
}
