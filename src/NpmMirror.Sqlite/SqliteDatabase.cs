using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>The file that all tables are in: its readers, its one writer, and the watch of its log.</summary>
internal sealed class SqliteDatabase : IAsyncDisposable
{
    private readonly TimeProvider _time;
    private readonly SqliteReaders _readers;
    private readonly SqliteWriter _writer;
    private volatile bool _isDisposed;

    /// <summary>Takes the database's file; nothing is opened yet.</summary>
    internal SqliteDatabase(string file, TimeProvider time)
    {
        Path = System.IO.Path.GetFullPath(file);
        _time = time;
        _readers = new SqliteReaders(Path);
        _writer = new SqliteWriter(Path, OnCommitted);
        Watch = new LogWatch(async cancellationToken => (await ReadAsync(SqliteLog.ReadHead, cancellationToken)).Position, typeof(SqliteStore));
    }

    /// <summary>The file, whole.</summary>
    internal string Path { get; }

    /// <summary>How reading sessions open the file now.</summary>
    internal SessionMode Mode => _readers.Mode;

    internal DateTimeOffset Now => _time.GetUtcNow();

    /// <summary>Looks for log rows that other processes wrote.</summary>
    internal LogWatch Watch { get; }

    /// <summary>Opens, creates or migrates the file; opens it for reading alone where it cannot be written.</summary>
    internal async Task OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (System.IO.Path.GetDirectoryName(Path) is { } folder)
            {
                Directory.CreateDirectory(folder);
            }

            // The writer opens, creates and migrates before its first transaction.
            await WriteAsync(_ => true, 0, cancellationToken);
        }
        catch (Exception e) when (e is MirrorException { Fault: MirrorFault.StoreReadOnly } or IOException or UnauthorizedAccessException)
        {
            if (!File.Exists(Path))
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"{Path} cannot be created; name a folder that this user may write.", inner: e);
            }

            await OpenForReadingAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        await Watch.DisposeAsync();
        _readers.Dispose();

        // The writer last: closing the last session merges the write-ahead log into the file.
        await Task.Run(_writer.Dispose);
    }

    /// <summary>Waits for the log to grow.</summary>
    internal ValueTask<LogPosition> WaitForLogAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return Watch.WaitAsync(after, timeout, _time, cancellationToken);
    }

    // Callers know it as the store.
    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_isDisposed, typeof(SqliteStore));

    private async Task OpenForReadingAsync(CancellationToken cancellationToken)
    {
        foreach (var mode in (SessionMode[])[SessionMode.ReadOnly, SessionMode.Immutable])
        {
            // A file opened as immutable is read without its write-ahead log: only if that is empty.
            if (mode == SessionMode.Immutable && new FileInfo(Path + "-wal") is { Exists: true, Length: > 0 })
            {
                break;
            }

            _readers.Mode = mode;
            try
            {
                var version = await ReadAsync(session => SqliteSchema.Check(session, Path), cancellationToken);
                if (version < SqliteSchema.Version)
                {
                    throw new MirrorException(MirrorFault.StoreSchema, $"{Path} has schema version {version} and must be migrated to {SqliteSchema.Version} first; open it once where it can be written.");
                }

                return;
            }
            catch (MirrorException e) when (e.InnerException is SqliteException inner && SqliteFaults.IsReadOnly(inner))
            {
                // Try the next way.
            }
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"{Path} can be neither written nor read as it is: its write-ahead log must be merged first; copy the folder to a place that can be written and open it there.");
    }

    private void OnCommitted(WriteTransaction transaction)
    {
        if (Mode != SessionMode.Read)
        {
            _readers.Mode = SessionMode.Read;
        }

        if (transaction.KnownHead is { } head)
        {
            Watch.Signal.Advance(head);
        }
    }

    /// <summary>Reads on the caller's thread.</summary>
    internal ValueTask<T> ReadAsync<T>(Func<SqliteSession, T> read, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        cancellationToken.ThrowIfCancellationRequested();
        return _readers.ReadAsync(read, cancellationToken);
    }

    /// <summary>Writes; on the disk when the task ends.</summary>
    internal ValueTask<T> WriteAsync<T>(Func<WriteTransaction, T> write, long sizeBytes, CancellationToken cancellationToken) =>
        WriteAsync(write, WriteUrgency.Now, sizeBytes, cancellationToken);

    /// <summary>Writes a little that is only repeated work when it is lost in a power cut.</summary>
    internal ValueTask<T> WriteUnsyncedAsync<T>(Func<WriteTransaction, T> write, CancellationToken cancellationToken) =>
        WriteAsync(write, WriteUrgency.Unsynced, sizeBytes: 0, cancellationToken);

    /// <summary>Writes; on the disk when the task ends, unless the urgency says otherwise.</summary>
    internal ValueTask<T> WriteAsync<T>(Func<WriteTransaction, T> write, WriteUrgency urgency, long sizeBytes, CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        cancellationToken.ThrowIfCancellationRequested();
        return _writer.WriteAsync(write, urgency, sizeBytes, cancellationToken);
    }
}
