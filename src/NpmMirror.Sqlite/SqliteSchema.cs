using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>The tables, and the way from an older file to this version's.</summary>
/// <remarks>
/// Names are TEXT with the BINARY collation: compared as UTF-8 bytes, case-exact. Times are Unix milliseconds. Large values have
/// tables of their own, so that reading a row does not drag a document's pages along.
/// </remarks>
internal static class SqliteSchema
{
    // "npmm": tells our files from other programs'.
    private const long ApplicationId = 0x6e706d6d;

    // Step n leads from version n to n + 1. Steps are never changed once released.
    private static readonly string[] Steps =
    [
        """
        CREATE TABLE packages (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            generation INTEGER NOT NULL,
            last_position INTEGER NOT NULL,
            is_removed INTEGER NOT NULL,
            removal TEXT,
            removal_reason TEXT,
            rev TEXT,
            upstream TEXT,
            etag TEXT,
            last_modified TEXT,
            modified_at INTEGER,
            first_seen_at INTEGER NOT NULL,
            stored_at INTEGER NOT NULL,
            raw_size INTEGER NOT NULL,
            document_sha256 BLOB NOT NULL,
            package_index BLOB NOT NULL
        );
        CREATE UNIQUE INDEX packages_by_position ON packages (last_position) WHERE last_position > 0;
        CREATE INDEX packages_removed ON packages (name) WHERE is_removed = 1;

        -- is_pinned: events point into the document; it goes to the archive when another takes its place.
        CREATE TABLE documents (package INTEGER PRIMARY KEY, codec INTEGER NOT NULL, is_pinned INTEGER NOT NULL, bytes BLOB NOT NULL);
        CREATE TABLE archive (
            package INTEGER NOT NULL,
            sha256 BLOB NOT NULL,
            raw_size INTEGER NOT NULL,
            codec INTEGER NOT NULL,
            bytes BLOB NOT NULL,
            UNIQUE (package, sha256)
        );

        -- payload: NULL after a purge; its digest stays and the chain still verifies.
        CREATE TABLE log (
            position INTEGER PRIMARY KEY,
            package INTEGER NOT NULL,
            generation INTEGER NOT NULL,
            ordinal INTEGER NOT NULL,
            type TEXT NOT NULL,
            at INTEGER,
            seen_at INTEGER NOT NULL,
            upstream_rev TEXT,
            payload_sha256 BLOB NOT NULL,
            hash BLOB NOT NULL,
            payload BLOB
        );

        -- has_blind: enqueued without a rev since the last take.
        CREATE TABLE queue (
            name TEXT PRIMARY KEY,
            priority INTEGER NOT NULL,
            due_at INTEGER NOT NULL,
            queued_at INTEGER NOT NULL,
            wanted_rev TEXT,
            is_deleted_row INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            missing_since INTEGER,
            last_error TEXT,
            ticket INTEGER NOT NULL,
            has_blind INTEGER NOT NULL,
            token TEXT,
            leased_until INTEGER
        ) WITHOUT ROWID;
        CREATE INDEX queue_by_due ON queue (priority, due_at, name);
        CREATE INDEX queue_leased ON queue (leased_until) WHERE token IS NOT NULL;

        CREATE TABLE tarballs (
            package TEXT NOT NULL,
            file TEXT NOT NULL,
            version TEXT NOT NULL,
            state INTEGER NOT NULL,
            sha512 BLOB,
            size INTEGER NOT NULL,
            upstream_url TEXT,
            verified_at INTEGER,
            last_served_at INTEGER,
            problem TEXT,
            PRIMARY KEY (package, file)
        ) WITHOUT ROWID;
        CREATE TABLE access (
            package TEXT NOT NULL,
            file TEXT NOT NULL,
            client TEXT NOT NULL,
            day INTEGER NOT NULL,
            count INTEGER NOT NULL,
            PRIMARY KEY (package, file, client, day)
        ) WITHOUT ROWID;
        CREATE INDEX access_by_day ON access (day);

        CREATE TABLE cursors (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;

        -- One row, changed in the transactions that change what it counts. probes: what CheckWritableAsync writes.
        CREATE TABLE counts (packages INTEGER NOT NULL, removed INTEGER NOT NULL, raw_bytes INTEGER NOT NULL, tarballs INTEGER NOT NULL, tarball_bytes INTEGER NOT NULL, queued INTEGER NOT NULL, probes INTEGER NOT NULL);
        INSERT INTO counts VALUES (0, 0, 0, 0, 0, 0, 0);
        """,
        """
        -- All that a list of everything tells, in its order.
        CREATE INDEX packages_listed ON packages (name, rev, upstream) WHERE is_removed = 0;
        """,
        """
        ALTER TABLE packages ADD COLUMN ancestors TEXT;
        """,
        """
        -- Whether anybody still needs a file's bytes, and what happened to one package.
        CREATE INDEX tarballs_by_sha512 ON tarballs (sha512) WHERE sha512 IS NOT NULL;
        CREATE INDEX log_by_package ON log (package, position);
        """,
        """
        -- Keys and attestations were among the mirror's own notes.
        CREATE TABLE kept (path TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
        INSERT INTO kept SELECT substr(key, 6), CAST(value AS BLOB) FROM cursors WHERE key >= 'kept:' AND key < 'kept;';
        DELETE FROM cursors WHERE key >= 'kept:' AND key < 'kept;';
        ALTER TABLE cursors RENAME TO notes;
        """,
        """
        -- From here on documents are Zstandard, which programs of before do not read.
        """,
    ];

    /// <summary>The version this program writes.</summary>
    internal static int Version => Steps.Length;

    /// <summary>Opens the file for writing, created or migrated.</summary>
    internal static SqliteSession OpenForWriting(string path)
    {
        var session = SqliteSession.Open(path, SessionMode.Write);
        try
        {
            if (Check(session, path) < Version)
            {
                Migrate(session, path);
            }

            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>The file's version; 0 for an empty file.</summary>
    /// <exception cref="MirrorException">Of a newer program, or of another one, or a version that never was.</exception>
    internal static int Check(SqliteSession session, string path)
    {
        var version = (int)session.Scalar<long>("PRAGMA user_version");
        var isEmpty = session.Scalar<long>("SELECT count(*) FROM sqlite_schema") == 0;
        if (!isEmpty && session.Scalar<long>("PRAGMA application_id") != ApplicationId)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"{path} is another program's database; name another folder.");
        }

        if (version < 0)
        {
            throw new MirrorException(MirrorFault.StoreSchema, $"{path} has schema version {version}, which no npm-mirror writes; it was changed by another program: restore a backup.");
        }

        return version <= Version
            ? version
            : throw new MirrorException(MirrorFault.StoreSchema, $"{path} has schema version {version}, and this npm-mirror knows versions up to {Version}; run the newer npm-mirror that wrote it, or restore a backup of before.");
    }

    /// <summary>Asked under the write lock: no older program writes into tables that a newer one has changed.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreReadOnly"/>: they are a newer program's now.</exception>
    internal static void RequireStillKnown(SqliteSession session, string path)
    {
        if (session.Scalar<long>("PRAGMA user_version") is var version && version > Version)
        {
            throw SchemaMoved.ToException(path, version, Version);
        }
    }

    private static void Migrate(SqliteSession session, string path)
    {
        // An index over millions of rows is sorted beside them: on the disk, not in memory.
        session.Execute("PRAGMA temp_store = FILE");
        session.Execute("BEGIN IMMEDIATE");

        // Read again under the lock: another process may have been faster.
        for (var version = Check(session, path); version < Version; version++)
        {
            session.Execute(Steps[version]);
        }

        session.Execute($"PRAGMA application_id = {ApplicationId}");
        session.Execute($"PRAGMA user_version = {Version}");
        session.Execute("COMMIT");
        session.Execute("PRAGMA temp_store = MEMORY");
    }
}
