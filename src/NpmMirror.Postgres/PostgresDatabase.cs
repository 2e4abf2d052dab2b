using Npgsql;

namespace NpmMirror.Postgres;

/// <summary>The server that all tables are in: pooled connections, transactions, and what failures mean.</summary>
internal sealed class PostgresDatabase : IAsyncDisposable
{
    private const int AttemptsMax = 4;
    private readonly TimeProvider _time;
    private readonly NpgsqlDataSource _source;
    private readonly NpgsqlDataSource _unsynced;
    private readonly NpgsqlDataSource _listening;
    private volatile bool _isDisposed;

    /// <summary>Takes the server's address; nothing is opened yet.</summary>
    internal PostgresDatabase(PostgresAddress address, TimeProvider time)
    {
        (Address, _time) = (address, time);
        var unsynced = new NpgsqlConnectionStringBuilder(address.Connection.ConnectionString);
        unsynced.Options += " -c synchronous_commit=off";
        unsynced.MaxPoolSize = Math.Max(2, unsynced.MaxPoolSize / 4);
        var listening = new NpgsqlConnectionStringBuilder(address.Connection.ConnectionString) { Pooling = false };
        (_source, _unsynced, _listening) = (Build(address.Connection), Build(unsynced), Build(listening));
    }

    internal PostgresAddress Address { get; }

    /// <summary>What time it is here: what is due is.</summary>
    internal DateTimeOffset Now => _time.GetUtcNow();

    /// <summary>
    /// What time it is for leases, which all nodes have to agree on: null where the server's clock tells it, which is everywhere but under a clock of a test.
    /// </summary>
    internal DateTimeOffset? LeaseNow => _time == TimeProvider.System ? null : _time.GetUtcNow();

    internal TimeProvider Time => _time;

    /// <summary>Reads, at once more where a connection of the pool turns out to be broken.</summary>
    internal ValueTask<T> ReadAsync<T>(Func<NpgsqlConnection, CancellationToken, ValueTask<T>> read, CancellationToken cancellationToken) =>
        RunAsync(_source, read, Kind.Read, cancellationToken);

    /// <summary>Writes in one transaction; durable when the task ends. The work may run twice, with the first run undone.</summary>
    internal ValueTask<T> WriteAsync<T>(Func<NpgsqlConnection, CancellationToken, ValueTask<T>> write, CancellationToken cancellationToken) =>
        RunAsync(_source, write, Kind.Write, cancellationToken);

    /// <summary>Changes the tables in one transaction, whatever their version.</summary>
    internal ValueTask<T> MigrateAsync<T>(Func<NpgsqlConnection, CancellationToken, ValueTask<T>> write, CancellationToken cancellationToken) =>
        RunAsync(_source, write, Kind.Migration, cancellationToken);

    /// <summary>Writes what is only repeated work when a power cut of the server undoes it.</summary>
    internal ValueTask<T> WriteUnsyncedAsync<T>(Func<NpgsqlConnection, CancellationToken, ValueTask<T>> write, CancellationToken cancellationToken) =>
        RunAsync(_unsynced, write, Kind.Write, cancellationToken);

    /// <summary>A connection for one who listens, open, and of no pool: others would hear it too. Closing it is the caller's.</summary>
    internal async ValueTask<NpgsqlConnection> ListenAsync(CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return await _listening.OpenConnectionAsync(cancellationToken);
    }

    /// <summary>Callers know the store.</summary>
    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_isDisposed, typeof(PostgresStore));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _isDisposed = true;
        await _source.DisposeAsync();
        await _unsynced.DisposeAsync();
        await _listening.DisposeAsync();
    }

    private static NpgsqlDataSource Build(NpgsqlConnectionStringBuilder connection) =>
        new NpgsqlSlimDataSourceBuilder(connection.ConnectionString).EnableArrays().EnableTransportSecurity().Build();

    private async ValueTask<T> RunAsync<T>(NpgsqlDataSource source, Func<NpgsqlConnection, CancellationToken, ValueTask<T>> work, Kind kind, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            ThrowIfDisposed();
            cancellationToken.ThrowIfCancellationRequested();
            var stage = Stage.Opening;
            try
            {
                await using var connection = await source.OpenConnectionAsync(cancellationToken);
                stage = Stage.Working;
                if (kind == Kind.Read)
                {
                    return await work(connection, cancellationToken);
                }

                await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
                if (kind == Kind.Write)
                {
                    await PostgresSchema.RequireStillKnownAsync(connection, Address, cancellationToken);
                }

                var result = await work(connection, cancellationToken);

                // From here on nobody could tell whether it was written: it is not given up halfway.
                stage = Stage.Committing;
                await transaction.CommitAsync(CancellationToken.None);
                return result;
            }
            catch (Exception e) when (attempt < AttemptsMax && !_isDisposed && MayDoAgain(e, stage))
            {
                if (!PostgresFaults.IsUndone(e))
                {
                    // The others that lay in the pool are broken, too.
                    source.Clear();
                }
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw Failed(e);
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException or LostRaceException or InvalidOperationException or System.Net.Sockets.SocketException && e is not ObjectDisposedException)
            {
                throw Failed(e);
            }
            catch (ObjectDisposedException) when (_isDisposed)
            {
                throw new ObjectDisposedException(nameof(PostgresStore));
            }
        }
    }

    private static bool MayDoAgain(Exception e, Stage stage) => PostgresFaults.IsUndone(e) || (stage == Stage.Working && PostgresFaults.IsBroken(e));

    private Exception Failed(Exception e) => _isDisposed ? new ObjectDisposedException(nameof(PostgresStore)) : PostgresFaults.Of(e, Address);

    private enum Kind
    {
        Read,
        Write,
        Migration,
    }

    private enum Stage
    {
        Opening,
        Working,
        Committing,
    }
}
