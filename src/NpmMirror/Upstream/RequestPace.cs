using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;

namespace NpmMirror.Upstream;

/// <summary>
/// The rate of requests to each host: a bucket of tokens for each. Work without a waiting client takes only tokens that are there, and pauses while a host says it is
/// busy; a request for a waiting client goes ahead of it, into debt if need be, and bulk work waits until that debt is paid.
/// </summary>
internal sealed class RequestPace(double? perSecond, TimeProvider time, Meter? meter = null)
{
    /// <summary>The default: a third of the rate that npm's public registry is known to bear.</summary>
    internal const double UsualPerSecond = 100;

    // Hosts come from packuments too, fenced; there is a limit even so.
    private const int HostsMax = 1_000;

    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(1);

    private readonly ConcurrentDictionary<string, Bucket> _buckets = new(StringComparer.OrdinalIgnoreCase);
    private volatile int _nodes = 1;

    /// <summary>The present pauses of hosts.</summary>
    internal RequestPauses Pauses { get; } = new(meter ?? Telemetry.Unread, time);

    /// <summary>The rate holds for so many nodes together: each of them takes an equal share.</summary>
    internal void ShareAmong(int nodes) => _nodes = nodes;

    /// <summary>Waits for this request's turn.</summary>
    /// <param name="url">The requested address.</param>
    /// <param name="isPatient">Whether no client waits for it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <param name="isTaking">False only waits, and leaves the token for the request itself.</param>
    internal async ValueTask EnterAsync(Uri url, bool isPatient, CancellationToken cancellationToken, bool isTaking = true)
    {
        if (BucketOf(url) is not { } bucket)
        {
            return;
        }

        while (((isPatient ? Pauses.LeftOf(url, RequestPurpose.Fetching) : null) ?? bucket.Wait(isPatient, isTaking, _nodes)) is { } wait)
        {
            await Task.Delay(wait > ShortestWait ? wait : ShortestWait, time, cancellationToken);
        }
    }

    private Bucket? BucketOf(Uri url)
    {
        if (_buckets.Count >= HostsMax && !_buckets.ContainsKey(url.Authority))
        {
            return null;
        }

        return _buckets.GetOrAdd(url.Authority, static (_, made) => new Bucket(made.Rate, made.Time), (Rate: RateOf(url), Time: time));
    }

    /// <summary>A registry on this machine has no limit by default.</summary>
    private double RateOf(Uri url) => perSecond is { } given ? given > 0 ? given : double.PositiveInfinity : url.IsLoopback ? double.PositiveInfinity : UsualPerSecond;

    private sealed class Bucket(double rate, TimeProvider time)
    {
        private readonly Lock _lock = new();
        private double _tokens = Math.Max(1, rate);
        private long _filledAt = time.GetTimestamp();

        /// <summary>Null when it may go now, else how long to wait before asking again.</summary>
        internal TimeSpan? Wait(bool isPatient, bool isTaking, int nodes)
        {
            lock (_lock)
            {
                if (double.IsInfinity(rate))
                {
                    return null;
                }

                var (share, now) = (rate / nodes, time.GetTimestamp());
                var size = Math.Max(1, share);
                _tokens = Math.Min(size, _tokens + (time.GetElapsedTime(_filledAt, now).TotalSeconds * share));
                _filledAt = now;

                var least = isPatient ? 1 : 1 - size;
                if (_tokens < least)
                {
                    return TimeSpan.FromSeconds((least - _tokens) / share);
                }

                _tokens -= isTaking ? 1 : 0;
                return null;
            }
        }
    }
}
