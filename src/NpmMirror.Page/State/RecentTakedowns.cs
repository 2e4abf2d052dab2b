using NpmMirror.Hosting;
using NpmMirror.Removals;

namespace NpmMirror.Page.State;

/// <summary>
/// The takedowns of the last 30 days, newest first, with the clients that had fetched them. Read from the log in the background, all of it once and then what is new; null until it was read.
/// </summary>
internal sealed class RecentTakedowns(Mirror mirror) : IDisposable
{
    private const int Most = 100;

    private static readonly TimeSpan Window = TimeSpan.FromDays(30);
    private static readonly TimeSpan FreshFor = TimeSpan.FromMinutes(1);

    private readonly Takedowns _takedowns = new(mirror.Store.Packages, mirror.Store.Log, mirror.Store.Tarballs);
    private readonly CancellationTokenSource _ending = new();
    private readonly Lock _lock = new();
    private Task? _reading;
    private long _readAt;
    private DateTimeOffset _readTo;
    private volatile IReadOnlyList<Takedown>? _last;

    /// <inheritdoc/>
    public void Dispose()
    {
        _ending.Cancel();
        _ending.Dispose();
    }

    /// <summary>Those that are known, without waiting.</summary>
    internal IReadOnlyList<Takedown>? Find()
    {
        lock (_lock)
        {
            if (_reading is null || (_reading.IsCompleted && mirror.Time.GetElapsedTime(_readAt) >= FreshFor))
            {
                _readAt = mirror.Time.GetTimestamp();
                _reading = Task.Run(ReadAsync);
            }
        }

        return _last;
    }

    private async Task ReadAsync()
    {
        var now = mirror.Time.GetUtcNow();
        var known = _last?.Where(one => one.SeenAt >= now - Window).ToList() ?? [];
        var read = new Dictionary<LogPosition, Takedown>(known.Select(one => KeyValuePair.Create(one.Position, one)));
        try
        {
            await foreach (var one in _takedowns.ListAsync(_last is null ? now - Window : _readTo, null, _ending.Token))
            {
                read[one.Position] = one;
                if (read.Count > Most * 2)
                {
                    read = new Dictionary<LogPosition, Takedown>(read.OrderByDescending(pair => pair.Key).Take(Most));
                }
            }

            _readTo = now;
            _last = [.. read.Values.OrderByDescending(one => one.Position).Take(Most)];
        }
        catch (Exception e) when (e is MirrorException or OperationCanceledException or ObjectDisposedException)
        {
            // Those known are shown, and the next reader has them read again.
        }
    }
}
