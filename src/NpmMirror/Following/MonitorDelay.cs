namespace NpmMirror.Following;

/// <summary>The wait at a feed's head, changeable while it is waited.</summary>
internal sealed class MonitorDelay(TimeSpan initial, TimeProvider time)
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TimeSpan _value = initial;

    internal TimeSpan Value
    {
        get
        {
            lock (_lock)
            {
                return _value;
            }
        }

        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, TimeSpan.Zero);
            TaskCompletionSource changed;
            lock (_lock)
            {
                _value = value;
                (changed, _changed) = (_changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            }

            changed.TrySetResult();
        }
    }

    /// <summary>Waits the delay, or the feed's own delay if there is none.</summary>
    internal async Task WaitAsync(TimeSpan feedsOwn, CancellationToken cancellationToken)
    {
        var startedAt = time.GetTimestamp();
        while (true)
        {
            Task changed;
            TimeSpan delay;
            lock (_lock)
            {
                delay = _value > TimeSpan.Zero ? _value : feedsOwn;
                changed = _changed.Task;
            }

            var left = delay - time.GetElapsedTime(startedAt);
            if (left <= TimeSpan.Zero)
            {
                cancellationToken.ThrowIfCancellationRequested();
                return;
            }

            using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var passing = Task.Delay(left, time, waiting.Token);
            await Task.WhenAny(passing, changed);
            cancellationToken.ThrowIfCancellationRequested();
            await waiting.CancelAsync();
        }
    }
}
