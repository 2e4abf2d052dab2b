using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>A mirror in one SQLite file: write-ahead log, one writer that commits in groups, a few readers beside it.</summary>
/// <remarks>
/// Several processes may open one file. Where the folder cannot be written, what is stored is still read; writing goes on by itself
/// once it can.
/// </remarks>
public sealed partial class SqliteStore : IMetadataStore
{
    private readonly string _path;
    private readonly TimeProvider _timeProvider;
    private readonly SqliteReaders _readers;
    private readonly SqliteWriter _writer;
    private readonly LogWatch _watch;
    private volatile bool _isDisposed;

    /// <summary>Takes the database's file; nothing is opened yet.</summary>
    public SqliteStore(string file, TimeProvider timeProvider)
    {
        _path = Path.GetFullPath(file);
        _timeProvider = timeProvider;
        _readers = new SqliteReaders(_path);
        _writer = new SqliteWriter(_path, OnCommitted);
        _watch = new LogWatch(async cancellationToken => (await ReadHeadAsync(cancellationToken)).Position);
    }

    /// <inheritdoc/>
    public string Location => $"sqlite:{_path}";

    private DateTimeOffset Now => _timeProvider.GetUtcNow();

    /// <inheritdoc/>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (Path.GetDirectoryName(_path) is { } folder)
            {
                Directory.CreateDirectory(folder);
            }

            // The writer opens, creates and migrates before its first transaction.
            await WriteAsync(_ => true, 0, cancellationToken);
        }
        catch (Exception e) when (e is MirrorException { Fault: MirrorFault.StoreReadOnly } or IOException or UnauthorizedAccessException)
        {
            if (!File.Exists(_path))
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"{_path} cannot be created; name a folder that this user may write.", inner: e);
            }

            await OpenForReadingAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken)
    {
        try
        {
            await WriteAsync(transaction => transaction.Session.Execute("UPDATE counts SET probes = probes + 1"), 0, cancellationToken);
            return null;
        }
        catch (MirrorException e)
        {
            return e.Message;
        }
    }

    /// <inheritdoc/>
    public ValueTask<StoreCounts> CountAsync(CancellationToken cancellationToken) => ReadAsync(
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
    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        await _watch.DisposeAsync();
        _readers.Dispose();

        // The writer last: closing the last session brings the write-ahead log into the file.
        await Task.Run(_writer.Dispose);
    }

    private async Task OpenForReadingAsync(CancellationToken cancellationToken)
    {
        foreach (var mode in (SessionMode[])[SessionMode.ReadOnly, SessionMode.Immutable])
        {
            // A file opened as immutable is read without its write-ahead log: only where that has nothing to add.
            if (mode == SessionMode.Immutable && new FileInfo(_path + "-wal") is { Exists: true, Length: > 0 })
            {
                break;
            }

            _readers.Mode = mode;
            try
            {
                var version = await ReadAsync(session => SqliteSchema.Check(session, _path), cancellationToken);
                if (version < SqliteSchema.Version)
                {
                    throw new MirrorException(MirrorFault.StoreSchema, $"{_path} has schema version {version} and must be migrated to {SqliteSchema.Version} first; open it once where it can be written.");
                }

                return;
            }
            catch (MirrorException e) when (e.InnerException is SqliteException inner && SqliteFaults.IsReadOnly(inner))
            {
                // The next way may do.
            }
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"{_path} can be neither written nor read as it is: its write-ahead log must be brought in first; copy the folder to a place that can be written and open it there.");
    }

    private void OnCommitted(WriteTransaction transaction)
    {
        if (_readers.Mode != SessionMode.Read)
        {
            _readers.Mode = SessionMode.Read;
        }

        if (transaction.KnownHead is { } head)
        {
            _watch.Signal.Advance(head);
        }
    }

    private ValueTask<T> ReadAsync<T>(Func<SqliteSession, T> read, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        return _readers.ReadAsync(read, cancellationToken);
    }

    private ValueTask<T> WriteAsync<T>(Func<WriteTransaction, T> write, long sizeBytes, CancellationToken cancellationToken) =>
        WriteAsync(write, WriteUrgency.Now, sizeBytes, cancellationToken);

    /// <summary>Writes a little that is only repeated work when it is lost in a power cut.</summary>
    private ValueTask<T> WriteUnsyncedAsync<T>(Func<WriteTransaction, T> write, CancellationToken cancellationToken) =>
        WriteAsync(write, WriteUrgency.Unsynced, sizeBytes: 0, cancellationToken);

    private ValueTask<T> WriteAsync<T>(Func<WriteTransaction, T> write, WriteUrgency urgency, long sizeBytes, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        return _writer.WriteAsync(write, urgency, sizeBytes, cancellationToken);
    }
}
