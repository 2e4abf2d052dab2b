using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>Looks for log rows that other processes wrote, while any task waits for the log: SQLite sends no notice across processes.</summary>
internal sealed class LogWatch : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private readonly Func<CancellationToken, ValueTask<LogPosition>> _readHead;
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _lock = new();
    private Task _watching = Task.CompletedTask;
    private int _waiters;

    internal LogWatch(Func<CancellationToken, ValueTask<LogPosition>> readHead) => _readHead = readHead;

    /// <summary>Commits of this process are told here at once.</summary>
    internal LogSignal Signal { get; } = new();

    internal async ValueTask<LogPosition> WaitAsync(LogPosition after, TimeSpan timeout, TimeProvider timeProvider, CancellationToken cancellationToken)
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
            throw new ObjectDisposedException(nameof(SqliteStore));
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
            // Waiters learn of trouble when they read; the next look may do.
        }
    }
}
