namespace NpmMirror.Following;

/// <summary>One run of a monitor, from its start to its last event.</summary>
internal sealed class MonitorRun : IDisposable
{
    private readonly CancellationTokenSource _stopping;
    private readonly MonitorRun? _whole;
    private readonly Lock _lock = new();
    private Task _notices = Task.CompletedTask;
    private bool _isAccepted;
    private volatile bool _isOver;
    private volatile bool _isStopped;

    internal MonitorRun()
        : this(null, new CancellationTokenSource())
    {
    }

    private MonitorRun(MonitorRun? whole, CancellationTokenSource stopping) => (_whole, _stopping, Stopping) = (whole, stopping, stopping.Token);

    /// <summary>Cancelled by <see cref="Stop"/> and <see cref="End"/>.</summary>
    internal CancellationToken Stopping { get; }

    /// <summary>True from <see cref="Stop"/> or <see cref="End"/> on.</summary>
    internal bool IsOver => _isOver || (_whole is not null && Stopping.IsCancellationRequested);

    /// <summary>True from <see cref="Stop"/> on: events that were told and not heard yet are dropped.</summary>
    internal bool IsStopped => _whole?.IsStopped ?? _isStopped;

    internal Task Task { get; set; } = Task.CompletedTask;

    /// <summary>The events that were told where no caller could wait; done when all of them are.</summary>
    internal Task Notices
    {
        get
        {
            lock (_lock)
            {
                return _notices;
            }
        }
    }

    /// <summary>A part of this run, which is over when the token is cancelled too, while the run goes on.</summary>
    internal MonitorRun Until(CancellationToken end) => new(_whole ?? this, CancellationTokenSource.CreateLinkedTokenSource(Stopping, end));

    internal void Note(ValueTask telling)
    {
        if (_whole is not null)
        {
            _whole.Note(telling);
            return;
        }

        lock (_lock)
        {
            _notices = Task.WhenAll(_notices, telling.AsTask());
        }
    }

    /// <summary>True the first time.</summary>
    internal bool TryAccept()
    {
        if (_whole is not null)
        {
            return _whole.TryAccept();
        }

        lock (_lock)
        {
            return !_isAccepted && (_isAccepted = true);
        }
    }

    /// <summary>Done when all waiters have been woken after <see cref="Stop"/>.</summary>
    internal Task Waking { get; private set; } = Task.CompletedTask;

    internal void Stop()
    {
        _isStopped |= !_isOver;
        End();
    }

    /// <summary>The run is over by itself: events that were told are still heard.</summary>
    internal void End()
    {
        lock (_lock)
        {
            if (!_isOver)
            {
                _isOver = true;
                // On another thread: the caller may be a listener in the middle of an event.
                Waking = _stopping.CancelAsync();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _stopping.Dispose();
}
