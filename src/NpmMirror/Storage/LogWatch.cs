namespace NpmMirror.Storage;

/// <summary>Looks for log rows that other processes wrote, while any task waits for the log. For authors of engines whose store sends no notice across processes.</summary>
public sealed class LogWatch : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private readonly Func<CancellationToken, ValueTask<LogPosition>> _readHead;
    private readonly Type _store;
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _lock = new();
    private Task _watching = Task.CompletedTask;
    private int _waiters;

    /// <summary>Makes a watch.</summary>
    /// <param name="readHead">Reads the log's head.</param>
    /// <param name="store">The type that a wait names if the store is closed meanwhile.</param>
    public LogWatch(Func<CancellationToken, ValueTask<LogPosition>> readHead, Type store) => (_readHead, _store) = (readHead, store);

    /// <summary>Commits of this process are told here at once.</summary>
    public LogSignal Signal { get; } = new();

    /// <summary>See <see cref="ILogTable.WaitForLogAsync"/>.</summary>
    public async ValueTask<LogPosition> WaitAsync(LogPosition after, TimeSpan timeout, TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        Signal.Advance(await _readHead(cancellationToken));
        if (Signal.Head > after || timeout <= TimeSpan.Zero)
        {
            return Signal.Head;
        }

        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ended.Token);
        Enter();
        try
        {
            return await Signal.WaitAsync(after, timeout, timeProvider, either.Token);
        }
        catch (OperationCanceledException) when (_ended.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new ObjectDisposedException(_store.FullName);
        }
        finally
        {
            Interlocked.Decrement(ref _waiters);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        Task watching;
        lock (_lock)
        {
            watching = _watching;
        }

        await watching;
        _ended.Dispose();
    }

    private void Enter()
    {
        lock (_lock)
        {
            Interlocked.Increment(ref _waiters);
            if (_watching.IsCompleted)
            {
                _watching = WatchAsync();
            }
        }
    }

    private async Task WatchAsync()
    {
        // The real clock: another process commits by its own.
        using var timer = new PeriodicTimer(Interval, TimeProvider.System);
        try
        {
            while (await timer.WaitForNextTickAsync(_ended.Token))
            {
                if (Volatile.Read(ref _waiters) > 0)
                {
                    await LookAsync();
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The store was closed.
        }
    }

    private async Task LookAsync()
    {
        try
        {
            Signal.Advance(await _readHead(_ended.Token));
        }
        catch (MirrorException)
        {
            // Waiters meet the failure when they read; the next look may succeed.
        }
    }
}
