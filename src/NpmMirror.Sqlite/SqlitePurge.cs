using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>Purges a package's past, so that it cannot be read from the file either.</summary>
internal static class SqlitePurge
{
    /// <summary>See <see cref="IPackageTable.PurgeAsync"/>.</summary>
    internal static long? Run(SqliteSession session, PackagePurge purge)
    {
        var mark = SqlitePackages.ReadMark(session, purge.Package);
        if (mark.Generation == 0 || mark.Generation != purge.ExpectedGeneration)
        {
            return null;
        }

        // Else purged data could be read from the file until something else is written there.
        _ = SQLitePCL.raw.sqlite3_exec(session.Handle, "PRAGMA secure_delete = ON");
        try
        {
            session.Execute("UPDATE packages SET generation = @next WHERE id = @id", ("@next", mark.Generation + 1), ("@id", mark.Id));
            return purge.Payloads.Sum(position => PurgePayload(session, mark.Id, position)) + purge.Documents.Sum(sha256 => PurgeDocument(session, mark.Id, sha256));
        }
        finally
        {
            _ = SQLitePCL.raw.sqlite3_exec(session.Handle, "PRAGMA secure_delete = OFF");
        }
    }

    private static long PurgePayload(SqliteSession session, long id, LogPosition position)
    {
        const string Row = "position = @position AND package = @id AND payload IS NOT NULL";
        ReadOnlySpan<(string, object?)> parameters = [("@position", position.Value), ("@id", id)];
        var bytes = session.Scalar<long>($"SELECT length(payload) FROM log WHERE {Row}", parameters);
        session.Execute($"UPDATE log SET payload = NULL WHERE {Row}", parameters);
        return bytes;
    }

    private static long PurgeDocument(SqliteSession session, long id, Digest sha256)
    {
        const string Current = "package = @id AND EXISTS (SELECT 1 FROM packages WHERE id = @id AND document_sha256 = @sha256)";
        const string Archived = "package = @id AND sha256 = @sha256";
        ReadOnlySpan<(string, object?)> parameters = [("@id", id), ("@sha256", sha256.Bytes.ToArray())];
        var bytes = session.Scalar<long>($"SELECT length(bytes) FROM documents WHERE {Current}", parameters) + session.Scalar<long>($"SELECT length(bytes) FROM archive WHERE {Archived}", parameters);
        session.Execute($"UPDATE documents SET codec = {(int)DocumentCodec.Purged}, bytes = x'' WHERE {Current}", parameters);
        session.Execute($"UPDATE archive SET codec = {(int)DocumentCodec.Purged}, bytes = x'' WHERE {Archived}", parameters);
        return bytes;
    }
}
