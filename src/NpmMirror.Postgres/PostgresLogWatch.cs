using System.Globalization;
using Npgsql;
using NpmMirror.Storage;

namespace NpmMirror.Postgres;

/// <summary>
/// Listens for commits of other processes, from the first who waits on. The same connection looks at the log's end about once a second: that shows that it
/// is alive, and a notification that got lost costs a second.
/// </summary>
internal sealed class PostgresLogWatch(PostgresDatabase database) : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(800);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(400);
    private readonly CancellationTokenSource _ended = new();
    private readonly Lock _lock = new();
    private Task? _listening;

    /// <summary>What this process commits is told here at once.</summary>
    internal LogSignal Signal { get; } = new();

    internal async ValueTask<LogPosition> WaitAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken)
    {
        Signal.Advance((await database.ReadAsync(PostgresLog.ReadHeadAsync, cancellationToken)).Position);
        if (Signal.Head > after || timeout <= TimeSpan.Zero)
        {
            return Signal.Head;
        }

        CancellationTokenSource either;
        lock (_lock)
        {
            database.ThrowIfDisposed();
            either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ended.Token);
            _listening ??= Task.Run(ListenAsync, CancellationToken.None);
        }

        using (either)
        {
            try
            {
                return await Signal.WaitAsync(after, timeout, database.Time, either.Token);
            }
            catch (OperationCanceledException) when (_ended.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                throw new ObjectDisposedException(nameof(PostgresStore));
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Task? listening;
        lock (_lock)
        {
            listening = _listening;
        }

        await _ended.CancelAsync();
        await (listening ?? Task.CompletedTask);
    }

    private async Task ListenAsync()
    {
        while (!_ended.IsCancellationRequested)
        {
            try
            {
                await using var connection = await database.ListenAsync(_ended.Token);
                await ListenAsync(connection);
            }
            catch (Exception e) when (e is NpgsqlException or MirrorException or InvalidOperationException or IOException or TimeoutException or OperationCanceledException)
            {
                // Waiters learn of trouble when they read; the next connection may do.
                await Task.Delay(Pause, TimeProvider.System, _ended.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task ListenAsync(NpgsqlConnection connection)
    {
        connection.Notification += (_, told) =>
        {
            if (long.TryParse(told.Payload, NumberStyles.None, CultureInfo.InvariantCulture, out var position))
            {
                Signal.Advance(new LogPosition(position));
            }
        };
        await using (var listen = new NpgsqlCommand($"listen {database.Address.Schema}", connection))
        {
            await listen.ExecuteNonQueryAsync(_ended.Token);
        }

        while (true)
        {
            Signal.Advance((await PostgresLog.ReadHeadAsync(connection, _ended.Token)).Position);
            await connection.WaitAsync(Interval, _ended.Token);
        }
    }
}
