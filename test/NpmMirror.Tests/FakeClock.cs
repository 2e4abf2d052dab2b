namespace NpmMirror.Tests;

/// <summary>
/// A clock that stands still until a test moves it; timers fire while it is moved, in order. Its wall time can be set apart from the monotonic time that
/// timers and timestamps count, as an operator or NTP sets it.
/// </summary>
internal sealed class FakeClock(DateTimeOffset start) : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<FakeTimer> _timers = [];
    private DateTimeOffset _now = start;
    private TimeSpan _wallAhead;

    public FakeClock()
        : this(new DateTimeOffset(2026, 11, 1, 12, 0, 0, TimeSpan.Zero))
    {
    }

    /// <summary>How many timers wait: tells a test that the code under test has come to its wait.</summary>
    public int Waiting
    {
        get
        {
            lock (_lock)
            {
                return _timers.Count;
            }
        }
    }

    /// <summary>When the next timer fires; null when none waits.</summary>
    public DateTimeOffset? NextDueAt
    {
        get
        {
            lock (_lock)
            {
                return _timers.Count == 0 ? null : _timers.Min(timer => timer.DueAt) + _wallAhead;
            }
        }
    }

    /// <summary>
    /// True when timers wait, and the next one for exactly so long from now: tells a test that this wait was come to. The time-out of a request
    /// that has just ended may wait for a moment longer.
    /// </summary>
    public bool IsNextIn(TimeSpan wait)
    {
        lock (_lock)
        {
            return _timers.Count > 0 && _timers.Min(timer => timer.DueAt) - _now == wait;
        }
    }

    /// <summary>True when a timer waits for a moment between these two from now.</summary>
    public bool HasTimerBetween(TimeSpan from, TimeSpan to)
    {
        lock (_lock)
        {
            return _timers.Any(timer => timer.DueAt - _now >= from && timer.DueAt - _now <= to);
        }
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return _now + _wallAhead;
        }
    }

    public override long GetTimestamp()
    {
        lock (_lock)
        {
            return _now.Ticks;
        }
    }

    /// <summary>Sets the wall time so far ahead of the monotonic time, or back where it is less than zero. No timer fires.</summary>
    public void SetWallAhead(TimeSpan by)
    {
        lock (_lock)
        {
            _wallAhead = by;
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new FakeTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    public void Advance(TimeSpan by)
    {
        var until = new DateTimeOffset(GetTimestamp(), TimeSpan.Zero) + by;
        while (true)
        {
            FakeTimer? next;
            lock (_lock)
            {
                next = _timers.Where(t => t.DueAt <= until).MinBy(t => t.DueAt);
                _now = next is null ? until : next.DueAt > _now ? next.DueAt : _now;
                next?.Rearm();
            }

            if (next is null)
            {
                return;
            }

            next.Fire();
        }
    }

    /// <summary>Lets waits up to so long be over at once, until the task has ended; counts them. Longer ones, as the time-outs of requests are, stand still.</summary>
    public async Task<int> SkipWaitsAsync(Task running, TimeSpan longest) => await SkipWaitsAsync(() => running.IsCompleted, longest);

    /// <summary>As the other one, until something is so.</summary>
    public async Task<int> SkipWaitsAsync(Func<bool> isDone, TimeSpan longest)
    {
        var skipped = 0;
        await Eventually.Async(() =>
        {
            if (NextDueAt - GetUtcNow() is { } wait && wait <= longest)
            {
                skipped++;
                Advance(wait);
            }

            return isDone();
        });
        return skipped;
    }

    private sealed class FakeTimer(FakeClock clock, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan _period = Timeout.InfiniteTimeSpan;

        public DateTimeOffset DueAt { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock._lock)
            {
                clock._timers.Remove(this);
                _period = period;
                if (dueTime != Timeout.InfiniteTimeSpan)
                {
                    DueAt = clock._now + dueTime;
                    clock._timers.Add(this);
                }
            }

            return true;
        }

        public void Rearm()
        {
            if (_period == Timeout.InfiniteTimeSpan || _period == TimeSpan.Zero)
            {
                clock._timers.Remove(this);
            }
            else
            {
                DueAt += _period;
            }
        }

        public void Fire() => callback(state);

        public void Dispose()
        {
            lock (clock._lock)
            {
                clock._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
