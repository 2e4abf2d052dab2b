using System.Diagnostics.Metrics;
using NpmMirror.Options;
using NpmMirror.Upstream;

namespace NpmMirror.Tarballs;

/// <summary>
/// Recent failures of tarballs, so that many impatient clients do not make the same download fail over and
/// over. Everything is forgotten within a minute or so, and by a restart.
/// </summary>
internal sealed class TarballFailures(MirrorOptions options, TimeProvider time, Meter? meter)
{
    private const int RememberedMax = 10_000;
    private static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(60);

    private readonly BoundedCache<(PackageName, string), Entry> _entries = new BoundedCache<(PackageName, string), Entry>("failed tarballs", RememberedMax).MeasureIn(meter);

    /// <summary>The absence or, thrown, the failure that still counts; null when it is time to try.</summary>
    internal TarballResult.Absent? Recall(TarballRequest request)
    {
        if (!_entries.TryGet(Key(request), out var entry) || entry.For - time.GetElapsedTime(entry.At) is var left && left <= TimeSpan.Zero)
        {
            return null;
        }

        return entry.Absence ?? throw new MirrorException(entry.Failure!.Fault, entry.Failure.Message, isTransient: true, left, entry.Failure) { RefusedStatus = entry.Failure.RefusedStatus };
    }

    /// <summary>Remembers the upstream's 404; briefly for a fresh version, which may be there in a second.</summary>
    internal void Remember(TarballRequest request, TarballResult.Absent absence, bool isFresh) =>
        _entries.Set(Key(request), new Entry(time.GetTimestamp(), isFresh ? TimeSpan.FromSeconds(1) : options.NegativeTtl, 0, absence, null));

    /// <summary>Remembers a failure: a second or a little more at first, twice as long each time, at least the upstream's wait, at most a minute.</summary>
    internal void Remember(TarballRequest request, MirrorException failure)
    {
        var backoff = new Backoff(TimeSpan.FromSeconds(1), WaitMax, Random.Shared) { Failures = _entries.TryGet(Key(request), out var entry) ? entry.Count : 0 };
        _entries.Set(Key(request), new Entry(time.GetTimestamp(), backoff.Next(failure.RetryAfter), backoff.Failures, null, failure));
    }

    /// <summary>It went well.</summary>
    internal void Forget(TarballRequest request) => _entries.Remove(Key(request));

    private static (PackageName, string) Key(TarballRequest request) => (request.Package, request.File);

    private readonly record struct Entry(long At, TimeSpan For, int Count, TarballResult.Absent? Absence, MirrorException? Failure);
}
