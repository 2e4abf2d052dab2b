using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>A mirror in one SQLite file: write-ahead log, one writer that commits in groups, a few readers beside it.</summary>
/// <remarks>
/// Several processes may open one file. If the folder cannot be written, the store is still read; writing goes on by itself
/// once it can.
/// </remarks>
internal sealed class SqliteStore : IMetadataStore
{
    private readonly SqliteDatabase _database;

    /// <summary>Takes the database's file; nothing is opened yet.</summary>
    public SqliteStore(string file, TimeProvider timeProvider)
    {
        _database = new SqliteDatabase(file, timeProvider);
        (Packages, Log, Queue, Tarballs) = (new SqlitePackages(_database), new SqliteLog(_database), new SqliteQueue(_database), new SqliteTarballs(_database));
        (Notes, Kept, Leases, Backup) = (new SqliteNotes(_database), new SqliteKept(_database), new SqliteLeases(_database), new SqliteBackup(_database));
        Import = new SqliteImport(_database);
    }

    /// <inheritdoc/>
    public string Location => $"sqlite:{_database.Path}";

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
    public IStoreBackup Backup { get; }

    /// <inheritdoc/>
    public IImportTable Import { get; }

    /// <inheritdoc/>
    public Task OpenAsync(CancellationToken cancellationToken) => _database.OpenAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _database.WriteAsync(transaction => transaction.Session.Execute("UPDATE counts SET probes = probes + 1"), 0, cancellationToken);
            return null;
        }
        catch (MirrorException e)
        {
            return e.Message;
        }
    }

    /// <inheritdoc/>
    public ValueTask<StoreCounts> CountAsync(CancellationToken cancellationToken) => _database.ReadAsync(
        session =>
        {
            using var reader = session.Query("SELECT packages, removed, raw_bytes, tarballs, tarball_bytes, queued FROM counts");
            if (!reader.Read())
            {
                return new StoreCounts(0, 0, 0, 0, 0, 0);
            }

            var values = new CheckedRow(reader, "counts");
            return new StoreCounts(values.Number(0), values.Number(1), values.Number(2), values.Number(3), values.Number(4), values.Number(5));
        },
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<StoreDamage> ListUnlistedAsync(CancellationToken cancellationToken) => SqliteUnlisted.ListAsync(_database, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _database.DisposeAsync();
}
