using Npgsql;
using NpmMirror.Storage;

namespace NpmMirror.Postgres;

/// <summary>A mirror in one schema of a PostgreSQL database, which several nodes may share.</summary>
internal sealed class PostgresStore : IMetadataStore
{
    private readonly PostgresDatabase _database;
    private readonly PostgresLogWatch _watch;
    private readonly CommitGroups _commits;
    private readonly PostgresFilling _filling;
    private bool _isDisposed;

    /// <summary>Takes the server's address; nothing is opened yet.</summary>
    internal PostgresStore(PostgresAddress address, TimeProvider time)
    {
        _database = new PostgresDatabase(address, time);
        _watch = new PostgresLogWatch(_database);
        _filling = new PostgresFilling(_database);
        _commits = new CommitGroups(CommitAsync);
        (Packages, Log, Queue, Tarballs) = (new PostgresPackages(_database, _commits), new PostgresLog(_database, _watch), new PostgresQueue(_database), new PostgresTarballs(_database));
        (Notes, Kept, Leases, Import) = (new PostgresNotes(_database), new PostgresKept(_database), new PostgresLeases(_database), new PostgresImport(_database, _watch));
    }

    /// <inheritdoc/>
    public string Location => _database.Address.Location;

    /// <inheritdoc/>
    public bool IsShared => true;

    /// <inheritdoc/>
    public IPackageTable Packages { get; }

    /// <inheritdoc/>
    public ILogTable Log { get; }

    /// <inheritdoc/>
    public IQueueTable Queue { get; }

    /// <inheritdoc/>
    public ITarballTable Tarballs { get; }

    /// <inheritdoc/>
    public INoteTable Notes { get; }

    /// <inheritdoc/>
    public IKeptTable Kept { get; }

    /// <inheritdoc/>
    public ILeaseTable Leases { get; }

    /// <inheritdoc/>
    public IImportTable Import { get; }

    /// <inheritdoc/>
    public async Task OpenAsync(CancellationToken cancellationToken) => await PostgresSchema.EnsureAsync(_database, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _database.WriteAsync(
                async (connection, token) =>
                {
                    await using var command = new NpgsqlCommand("update counts set probes = probes + 1 where shard = pg_backend_pid() % 16", connection);
                    return await command.ExecuteNonQueryAsync(token);
                },
                cancellationToken);
            return null;
        }
        catch (MirrorException e)
        {
            return e.Message;
        }
    }

    /// <inheritdoc/>
    public ValueTask<StoreCounts> CountAsync(CancellationToken cancellationToken) => _database.ReadAsync(
        async (connection, token) =>
        {
            const string Sum = "select sum(packages)::bigint, sum(removed)::bigint, sum(raw_bytes)::bigint, sum(tarballs)::bigint, sum(tarball_bytes)::bigint, sum(queued)::bigint from counts";
            await using var command = new NpgsqlCommand(Sum, connection);
            await using var reader = await command.ExecuteReaderAsync(token);
            await reader.ReadAsync(token);
            return new StoreCounts(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5));
        },
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<StoreDamage> ListUnlistedAsync(CancellationToken cancellationToken) => PostgresUnlisted.ListAsync(_database, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        await _watch.DisposeAsync();
        await _commits.DisposeAsync();
        await _filling.DisposeAsync();
        await _database.DisposeAsync();
    }

    private async ValueTask<IReadOnlyList<CommitResult>> CommitAsync(IReadOnlyList<PackageCommit> commits, CancellationToken cancellationToken)
    {
        var (results, head) = await _database.WriteAsync((connection, token) => PostgresCommit.RunAsync(connection, commits, _database.Address.Queries, token), cancellationToken);
        if (_database.Address.Queries.IsOn)
        {
            _filling.Start();
        }

        if (head is { } moved)
        {
            _watch.Signal.Advance(moved);
        }

        return results;
    }
}
