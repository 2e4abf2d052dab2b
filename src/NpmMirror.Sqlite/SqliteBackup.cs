using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>Copies of the whole database.</summary>
internal sealed class SqliteBackup(SqliteDatabase database) : IStoreBackup
{
    /// <inheritdoc/>
    public string FileName => SqliteEngine.FileName;

    /// <inheritdoc/>
    public async Task BackupAsync(string targetFile, CancellationToken cancellationToken)
    {
        database.ThrowIfDisposed();
        var target = Path.GetFullPath(targetFile);
        if (File.Exists(target) || !Directory.Exists(Path.GetDirectoryName(target)))
        {
            throw new MirrorException(MirrorFault.BadInput, $"A backup needs a new file in a folder that exists, and {target} is none; name another.");
        }

        var part = target + ".part";
        try
        {
            File.Delete(part);
            try
            {
                // A thread of its own: it reads the whole file.
                await Task.Run(() => CopyInto(part, cancellationToken), cancellationToken);
                using (var file = File.OpenHandle(part, FileMode.Open, FileAccess.ReadWrite))
                {
                    RandomAccess.FlushToDisk(file);
                }

                File.Move(part, target);
                DurableFolders.Sync(Path.GetDirectoryName(target)!);
            }
            finally
            {
                File.Delete(part);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MirrorException(MirrorFault.StoreReadOnly, $"The backup {target} cannot be written: {e.Message}", inner: e);
        }
    }

    /// <inheritdoc/>
    public LogHead ReadHeadOf(string copy)
    {
        var path = Path.GetFullPath(copy);
        try
        {
            using var session = SqliteSession.Open(path, SessionMode.Immutable);
            return SqliteLog.ReadHead(session);
        }
        catch (SqliteException e)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"{path} cannot be read as an earlier backup ({e.Message}); move it away, or name another folder.", inner: e);
        }
    }

    private void CopyInto(string part, CancellationToken cancellationToken)
    {
        try
        {
            using var session = SqliteSession.Open(database.Path, database.Mode);
            using var interrupt = cancellationToken.Register(() => SQLitePCL.raw.sqlite3_interrupt(session.Handle));

            // Nothing of this database is written, but "query only" would forbid writing the copy.
            session.Execute("PRAGMA query_only = 0");
            session.Execute("VACUUM INTO @file", ("@file", part));
        }
        catch (SqliteException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (SqliteFaults.IsDamage(e))
            {
                throw SqliteFaults.OfRead(e, database.Path);
            }

            throw new MirrorException(MirrorFault.StoreReadOnly, $"The backup {part} cannot be written ({e.Message}); check its folder and that its disk has room for the whole of {database.Path}.", inner: e);
        }
    }
}
