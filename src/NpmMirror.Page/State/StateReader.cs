using NpmMirror.Hosting;

namespace NpmMirror.Page.State;

/// <summary>
/// Reads a mirror's state for its page. No request waits for the store: readers get the last state, and one that is older than some seconds is read anew in the
/// background, at most a twentieth of the time. Only the first reader waits.
/// </summary>
internal sealed class StateReader : IDisposable
{
    private const int ReadingShare = 20;
    private const int EventsMax = 20;

    private static readonly TimeSpan FreshFor = TimeSpan.FromSeconds(3);

    private readonly Mirror _mirror;
    private readonly MeterSums _sums;
    private readonly FollowingWatch _following;
    private readonly HourCounts _hours;
    private readonly CancellationTokenSource _ending = new();
    private readonly Lock _lock = new();
    private Task<StateSnapshot>? _reading;
    private StateSnapshot? _last;
    private long _readAt;
    private TimeSpan _took;

    internal StateReader(Mirror mirror)
    {
        _mirror = mirror;
        _sums = new MeterSums(mirror.Meter);
        _hours = new HourCounts(mirror, _sums);
        _following = new FollowingWatch(mirror);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ending.Cancel();
        _following.Dispose();
        _hours.Dispose();
        _sums.Dispose();
        _ending.Dispose();
    }

    /// <summary>The hours of the last 30 days.</summary>
    internal HourCounts Hours => _hours;

    /// <summary>How following goes now.</summary>
    internal FollowingNow Following => _following.Now;

    /// <summary>The state of some seconds ago, or of now for the first reader.</summary>
    /// <exception cref="MirrorException">The store cannot be read, and never could.</exception>
    internal async ValueTask<StateSnapshot> FindAsync(CancellationToken cancellationToken)
    {
        Task<StateSnapshot>? reading;
        lock (_lock)
        {
            if (_last is { } last && _mirror.Time.GetElapsedTime(_readAt) < TimeSpan.FromTicks(Math.Max(FreshFor.Ticks, _took.Ticks * ReadingShare)))
            {
                return last;
            }

            if (_reading is null or { IsCompleted: true })
            {
                _reading = Task.Run(ReadAsync);
                // A failure is told by the next state that can be read, or to the first reader.
                _ = _reading.ContinueWith(failed => _ = failed.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }

            if (_last is { } earlier)
            {
                return earlier;
            }

            reading = _reading;
        }

        return await reading.WaitAsync(cancellationToken);
    }

    private async Task<StateSnapshot> ReadAsync()
    {
        try
        {
            return await ReadNowAsync();
        }
        catch (MirrorException failure)
        {
            lock (_lock)
            {
                if (_last is { } last)
                {
                    (_last, _readAt, _took) = (last with { Health = new MirrorHealth(HealthLevel.Trouble, $"The store cannot be read; the figures are those of {Words.Time(last.At)}: {Words.Plain(failure.Message)}") }, _mirror.Time.GetTimestamp(), TimeSpan.Zero);
                    return _last;
                }
            }

            throw;
        }
    }

    private async Task<StateSnapshot> ReadNowAsync()
    {
        var begun = _mirror.Time.GetTimestamp();
        var cancelled = _ending.Token;
        var status = await MirrorStatus.ReadAsync(_mirror.Store, _mirror.Blobs, _mirror.Time, cancelled);
        _sums.Collect();
        var (now, disk) = (_mirror.Time.GetUtcNow(), _mirror.Store.IsShared ? null : DiskSpace.Of(_mirror.Options.Data));
        var snapshot = new StateSnapshot(now, status, MirrorHealth.Of(status, _following.Now, disk, now), disk, TrafficSums.Of(_sums), await ReadEventsAsync(status.Log.Position, cancelled));
        lock (_lock)
        {
            (_last, _readAt, _took) = (snapshot, _mirror.Time.GetTimestamp(), _mirror.Time.GetElapsedTime(begun));
        }

        return snapshot;
    }

    private async Task<IReadOnlyList<LogLine>> ReadEventsAsync(long head, CancellationToken cancellationToken)
    {
        var lines = new List<LogLine>();
        await foreach (var row in _mirror.Log.ReadAsync(new LogPosition(Math.Max(0, head - EventsMax)), cancellationToken))
        {
            lines.Add(new LogLine(row.SeenAt, row.Type, row.Package));
        }

        lines.Reverse();
        return [.. lines.Take(EventsMax)];
    }
}

/// <summary>A mirror's state at one moment.</summary>
internal sealed record StateSnapshot(DateTimeOffset At, MirrorStatus Status, MirrorHealth Health, DiskSpace? Disk, TrafficSums Traffic, IReadOnlyList<LogLine> Events);

/// <summary>An entry of the log, in short.</summary>
internal sealed record LogLine(DateTimeOffset SeenAt, string Type, PackageName Package);

/// <summary>What this process has answered since it started.</summary>
/// <param name="Requests">Requests.</param>
/// <param name="Failed">Those answered with a status of 500 and more.</param>
/// <param name="SentBytes">Bytes of bodies sent.</param>
/// <param name="TarballRequests">Requests for tarballs that were answered with one.</param>
/// <param name="TarballsFetched">Downloads of tarballs from the upstream that ended.</param>
/// <param name="Connections">Connections of clients now.</param>
internal sealed record TrafficSums(long Requests, long Failed, long SentBytes, long TarballRequests, long TarballsFetched, long Connections)
{
    /// <summary>The share of tarballs that were answered without the upstream; null before the first.</summary>
    internal double? HitRatio => TarballRequests == 0 ? null : Math.Clamp(1 - ((double)TarballsFetched / TarballRequests), 0, 1);

    internal static TrafficSums Of(MeterSums sums) => new(
        sums.Sum("npm_mirror.http.requests"),
        sums.Sum("npm_mirror.http.requests", labels => labels.Contains(" status=5", StringComparison.Ordinal)),
        sums.Sum("npm_mirror.http.sent"),
        sums.Sum("npm_mirror.http.requests", labels => labels.Contains(" route=/{package}/-/{file} ", StringComparison.Ordinal) && labels.Contains(" status=2", StringComparison.Ordinal)),
        sums.Sum("npm_mirror.tarballs.fetched"),
        sums.Sum("npm_mirror.http.connections"));
}
