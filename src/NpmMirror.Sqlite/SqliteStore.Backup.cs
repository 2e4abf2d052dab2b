using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

public sealed partial class SqliteStore
{
    /// <summary>
    /// Writes a whole, compact copy of the database, of one moment, beside running readers and writers. The copy appears under its name
    /// when it is complete and durable; put in the place of <see cref="SqliteEngine.FileName"/> of a stopped mirror it restores it.
    /// </summary>
    /// <remarks>Copy the folder of blobs after it, not before: then every tarball the copy knows is there.</remarks>
    /// <exception cref="MirrorException">The target exists, or cannot be written.</exception>
    public async Task BackupAsync(string targetFile, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
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

    /// <summary>The end of the log in a copy that nobody writes; nothing is made or changed beside it.</summary>
    /// <exception cref="MirrorException">It is damaged, or no store.</exception>
    public static LogHead ReadHeadOfCopy(string file)
    {
        var path = Path.GetFullPath(file);
        try
        {
            using var session = SqliteSession.Open(path, SessionMode.Immutable);
            return ReadHead(session);
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
            using var session = SqliteSession.Open(_path, _readers.Mode);
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
                throw SqliteFaults.OfRead(e, _path);
            }

            throw new MirrorException(MirrorFault.StoreReadOnly, $"The backup {part} cannot be written ({e.Message}); check its folder and that its disk has room for the whole of {_path}.", inner: e);
        }
    }
}
