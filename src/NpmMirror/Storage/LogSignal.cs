namespace NpmMirror.Storage;

/// <summary>Wakes tasks that wait for the log to grow. For authors of engines: tell it each new head, let waiters wait here.</summary>
public sealed class LogSignal
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _moved = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private LogPosition _head;
    private volatile bool _isEnded;

    /// <summary>The newest head it was told of.</summary>
    public LogPosition Head
    {
        get
        {
            lock (_lock)
            {
                return _head;
            }
        }
    }

    /// <summary>Whether waiting has ended.</summary>
    public bool IsEnded => _isEnded;

    /// <summary>The log's head is at least here.</summary>
    public void Advance(LogPosition head)
    {
        TaskCompletionSource moved;
        lock (_lock)
        {
            if (head <= _head)
            {
                return;
            }

            _head = head;
            moved = _moved;
            _moved = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        moved.TrySetResult();
    }

    /// <summary>Ends waiting, from now on: all calls return the present head.</summary>
    public void End()
    {
        lock (_lock)
        {
            _isEnded = true;
        }

        _moved.TrySetResult();
    }

    /// <summary>Waits until the head is after <paramref name="after"/>, at most <paramref name="timeout"/>; returns the head.</summary>
    public async ValueTask<LogPosition> WaitAsync(LogPosition after, TimeSpan timeout, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        var since = timeProvider.GetTimestamp();
        while (true)
        {
            Task moved;
            lock (_lock)
            {
                if (_head > after || _isEnded)
                {
                    return _head;
                }

                moved = _moved.Task;
            }

            var left = timeout - timeProvider.GetElapsedTime(since);
            if (left <= TimeSpan.Zero)
            {
                return Head;
            }

            try
            {
                await moved.WaitAsync(left, timeProvider, cancellationToken);
            }
            catch (TimeoutException)
            {
                return Head;
            }
        }
    }
}
