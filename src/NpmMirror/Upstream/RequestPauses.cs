using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;

namespace NpmMirror.Upstream;

/// <summary>
/// Which purposes a host is not asked for at the moment, because it said that it is busy or gave no answer in time. Each purpose of each host
/// pauses by itself: a search that is refused stops no fetching.
/// </summary>
internal sealed class RequestPauses(Meter meter, TimeProvider time)
{
    /// <summary>No pause is longer, even if the host asks for it.</summary>
    internal static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);

    // Hosts come from packuments too, fenced; there is a limit even so.
    private const int PausesMax = 6_000;

    private readonly Counter<long> _begun = meter.CreateCounter<long>("npm_mirror.upstream.pauses", "{pause}", "Pauses begun because the upstream was busy or did not answer, by purpose");

    private static readonly TimeSpan FirstOfFetching = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FirstOfForwarding = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<(string Host, RequestPurpose Purpose), Pause> _pauses = new();

    /// <summary>How long the host is not to be asked for this; null when it may be.</summary>
    internal TimeSpan? LeftOf(Uri url, RequestPurpose purpose) => _pauses.TryGetValue(KeyOf(url, purpose), out var pause) ? pause.Left() : null;

    /// <summary>The pause of this purpose; null when the host may be asked.</summary>
    internal RequestPause? Find(Uri url, RequestPurpose purpose) => _pauses.TryGetValue(KeyOf(url, purpose), out var pause) && pause.Left() is { } left
        ? new RequestPause(url.Authority, purpose, left, pause.Reason)
        : null;

    /// <summary>Notes that the host is too busy for requests of this purpose.</summary>
    /// <param name="url">The requested address.</param>
    /// <param name="purpose">The purpose of the request.</param>
    /// <param name="retryAfter">The wait that the host asked for, if it did.</param>
    /// <param name="reason">The host's answer, for operators.</param>
    internal void Begin(Uri url, RequestPurpose purpose, TimeSpan? retryAfter, string reason)
    {
        var key = KeyOf(url, purpose);
        if (_pauses.Count >= PausesMax && !_pauses.ContainsKey(key))
        {
            return;
        }

        if (_pauses.GetOrAdd(key, static (of, clock) => new Pause(of.Purpose == RequestPurpose.Fetching ? FirstOfFetching : FirstOfForwarding, clock), time).Begin(retryAfter, reason))
        {
            _begun.Add(1, Telemetry.Tag("purpose", purpose.ToString()));
        }
    }

    /// <summary>Notes that the host answered: the next pause is a short one again.</summary>
    internal void NoteAnswered(Uri url, RequestPurpose purpose)
    {
        if (_pauses.TryGetValue(KeyOf(url, purpose), out var pause))
        {
            pause.Recover();
        }
    }

    /// <summary>The pauses of this moment.</summary>
    internal IReadOnlyList<RequestPause> List() =>
    [
        .. from pause in _pauses
           let left = pause.Value.Left()
           where left is not null
           orderby pause.Key.Host, pause.Key.Purpose
           select new RequestPause(pause.Key.Host, pause.Key.Purpose, left.Value, pause.Value.Reason),
    ];

    private static (string Host, RequestPurpose Purpose) KeyOf(Uri url, RequestPurpose purpose) => (url.Authority, purpose);

    private sealed class Pause(TimeSpan first, TimeProvider time)
    {
        private readonly Lock _lock = new();
        private readonly Backoff _busy = new(first, Longest, Random.Shared);
        private long _since;
        private TimeSpan _length;

        internal string Reason { get; private set; } = "";

        internal TimeSpan? Left()
        {
            lock (_lock)
            {
                return _length - time.GetElapsedTime(_since) is var left && left > TimeSpan.Zero ? left : null;
            }
        }

        /// <summary>True when a pause began; false when there was one already.</summary>
        internal bool Begin(TimeSpan? retryAfter, string reason)
        {
            lock (_lock)
            {
                // Many requests that are refused at once count as one refusal.
                if (Left() is { } left)
                {
                    if (retryAfter > left)
                    {
                        Set(retryAfter.Value < Longest ? retryAfter.Value : Longest, reason);
                    }

                    return false;
                }

                Set(_busy.Next(retryAfter), reason);
                return true;
            }
        }

        internal void Recover()
        {
            lock (_lock)
            {
                _busy.Reset();
            }
        }

        private void Set(TimeSpan length, string reason)
        {
            _since = time.GetTimestamp();
            _length = length;
            Reason = reason;
        }
    }
}

/// <summary>A pause in requests of one purpose to one host.</summary>
/// <param name="Host">The host, with its port where it is not the usual one.</param>
/// <param name="Purpose">The purpose of the paused requests.</param>
/// <param name="Left">The rest of the pause.</param>
/// <param name="Reason">The host's answer.</param>
internal readonly record struct RequestPause(string Host, RequestPurpose Purpose, TimeSpan Left, string Reason);
