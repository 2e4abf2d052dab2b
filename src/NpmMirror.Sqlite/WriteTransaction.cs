using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>A transaction that holds the file's write lock, with the values that its jobs share: the log's head and the counters.</summary>
internal sealed class WriteTransaction
{
    private static readonly StoreCounts Nothing = new(0, 0, 0, 0, 0, 0);

    private LogHead? _head;
    private bool _isHeadMoved;

    private WriteTransaction(SqliteSession session) => Session = session;

    internal SqliteSession Session { get; }

    /// <summary>This transaction's changes of the counters.</summary>
    internal StoreCounts Counted { get; set; } = Nothing;

    /// <summary>The log's end, including what this transaction appended.</summary>
    internal LogHead Head
    {
        get => _head ??= SqliteLog.ReadHead(Session);
        set => (_head, _isHeadMoved) = (value, true);
    }

    /// <summary>The log's end, if anyone asked for it.</summary>
    internal LogPosition? KnownHead => _head?.Position;

    /// <param name="session">Where.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="isSynced">Whether the COMMIT is on the disk when it returns; else it is with the next that is.</param>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreReadOnly"/>: a newer program has migrated the file since this one opened it.</exception>
    internal static WriteTransaction Begin(SqliteSession session, string path, bool isSynced)
    {
        session.IsSynced = isSynced;

        // The lock first: values read inside are still true at the COMMIT, although other processes write.
        session.Execute("BEGIN IMMEDIATE");
        var transaction = new WriteTransaction(session);
        try
        {
            SqliteSchema.RequireStillKnown(session, path);
            return transaction;
        }
        catch
        {
            transaction.Rollback();
            throw;
        }
    }

    internal void Commit()
    {
        if (Counted != Nothing)
        {
            Session.Execute(
                """
                UPDATE counts SET packages = packages + @packages, removed = removed + @removed, raw_bytes = raw_bytes + @rawBytes,
                    tarballs = tarballs + @tarballs, tarball_bytes = tarball_bytes + @tarballBytes, queued = queued + @queued
                """,
                ("@packages", Counted.Packages),
                ("@removed", Counted.Removed),
                ("@rawBytes", Counted.RawBytes),
                ("@tarballs", Counted.Tarballs),
                ("@tarballBytes", Counted.TarballBytes),
                ("@queued", Counted.Queued));
        }

        if (_isHeadMoved)
        {
            SqliteLog.KeepHead(Session, Head);
        }

        Session.Execute("COMMIT");
    }

    internal void Rollback()
    {
        if (SQLitePCL.raw.sqlite3_get_autocommit(Session.Handle) == 0)
        {
            Session.Execute("ROLLBACK");
        }
    }
}
