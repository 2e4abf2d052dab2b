using Microsoft.Data.Sqlite;
using NpmMirror.History;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

public sealed partial class SqliteStore
{
    private const string RowColumns =
        """
        p.name, p.generation, p.last_position, p.removal, p.removal_reason, p.rev, p.upstream, p.etag, p.last_modified,
        p.modified_at, p.first_seen_at, p.stored_at, p.raw_size, p.document_sha256, p.package_index, p.ancestors
        """;

    private const int RowColumnsCount = 16;
    private const int PageMarksMax = 2048;
    private const int MarkBytes = 100;

    /// <inheritdoc/>
    public ValueTask<PackageRow?> FindAsync(PackageName name, CancellationToken cancellationToken) => ReadAsync(
        session =>
        {
            using var reader = session.Query($"SELECT {RowColumns} FROM packages p WHERE p.name = @name", ("@name", name.Value));
            return reader.Read() ? ReadRow(reader) : null;
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<StoredPackage?> ReadAsync(PackageName name, CancellationToken cancellationToken) => ReadAsync(
        session =>
        {
            using var reader = session.Query(
                $"SELECT {RowColumns}, d.codec, d.bytes FROM packages p JOIN documents d ON d.package = p.id WHERE p.name = @name",
                ("@name", name.Value));
            if (!reader.Read())
            {
                return null;
            }

            var row = ReadRow(reader);
            var codec = (DocumentCodec)reader.GetInt32(RowColumnsCount);
            return new StoredPackage(row, new StoredDocument(codec, reader.GetBytes(RowColumnsCount + 1), row.RawSizeBytes, row.DocumentSha256));
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<StoredDocument?> ReadArchivedAsync(PackageName name, Digest sha256, CancellationToken cancellationToken) => ReadAsync(
        session =>
        {
            using var reader = session.Query(
                """
                SELECT a.codec, a.bytes, a.raw_size FROM packages p JOIN archive a ON a.package = p.id
                    WHERE p.name = @name AND a.sha256 = @sha256
                UNION ALL
                SELECT d.codec, d.bytes, p.raw_size FROM packages p JOIN documents d ON d.package = p.id
                    WHERE p.name = @name AND p.document_sha256 = @sha256 AND d.is_pinned
                LIMIT 1
                """,
                ("@name", name.Value),
                ("@sha256", sha256.Bytes.ToArray()));
            return reader.Read() ? new StoredDocument((DocumentCodec)reader.GetInt32(0), reader.GetBytes(1), reader.GetInt32(2), sha256) : null;
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken)
    {
        var sizeBytes = (commit.Document?.Bytes.Length ?? 0) + commit.Index.Length + commit.Events.Sum(pending => (long)pending.Payload.Length);
        return WriteAsync(transaction => Commit(transaction, commit), commit.IsPatient ? WriteUrgency.Together : WriteUrgency.Now, sizeBytes, cancellationToken);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<PackageRow> ListAsync(PackageName? after, bool isRemoved, CancellationToken cancellationToken)
    {
        // A literal, not a parameter: only then does SQLite use the graveyard's own index.
        var sql = $"SELECT {RowColumns} FROM packages p WHERE p.name > @after AND p.is_removed = {(isRemoved ? 1 : 0)} ORDER BY p.name LIMIT {PageRowsMax}";
        return PagesAsync(after?.Value ?? "", PageRowsMax, (session, last) => session.Query(sql, ("@after", last)), ReadRow, row => row.Name.Value, row => row.Index.Length, cancellationToken);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<PackageMark> ListMarksAsync(string from, bool isRemoved, CancellationToken cancellationToken)
    {
        // The held are read from their index alone, in its order: a row lies wherever its package came, and millions of jumps are minutes.
        var index = isRemoved ? "packages_removed" : "packages_listed";
        var sql = $"SELECT name, rev, upstream FROM packages INDEXED BY {index} WHERE name >= @from AND is_removed = {(isRemoved ? 1 : 0)} ORDER BY name LIMIT {PageMarksMax}";

        // The first name behind another is that with the smallest character appended.
        return PagesAsync(from, PageMarksMax, (session, first) => session.Query(sql, ("@from", first)), ReadMark, mark => mark.Name.Value + '\0', _ => MarkBytes, cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<PackageRow> ListChangesAsync(LogPosition from, bool isDescending, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await ReadHeadAsync(cancellationToken)).Position.Value;
        var (range, order) = isDescending ? ("p.last_position < @from", "DESC") : ("p.last_position > @from", "ASC");
        var sql = $"SELECT {RowColumns} FROM packages p WHERE p.last_position > 0 AND p.last_position <= @head AND {range} ORDER BY p.last_position {order} LIMIT {PageRowsMax}";
        var rows = PagesAsync(
            from.Value,
            PageRowsMax,
            (session, last) => session.Query(sql, ("@head", head), ("@from", last)),
            ReadRow,
            row => row.LastPosition.Value,
            row => row.Index.Length,
            cancellationToken);
        await foreach (var row in rows)
        {
            yield return row;
        }
    }

    private static CommitResult Commit(WriteTransaction transaction, PackageCommit commit)
    {
        var session = transaction.Session;
        var previous = ReadMark(session, commit.Name);
        if (previous.Generation != commit.ExpectedGeneration)
        {
            return new CommitResult(false, previous.Generation, new LogPosition(previous.LastPosition));
        }

        if (commit.Document is null && previous.Generation == 0)
        {
            throw new ArgumentException($"The first commit of {commit.Name} has no document.", nameof(commit));
        }

        var log = Number(transaction, commit);
        var lastPosition = log.Count > 0 ? log[^1].Position.Value : previous.LastPosition;
        KeepPrevious(session, previous.Id, commit);
        var id = WriteRow(session, previous, commit, lastPosition);
        if (commit.Document is { } document)
        {
            session.Execute(
                "INSERT INTO documents (package, codec, is_pinned, bytes) VALUES (@package, @codec, 0, @bytes) ON CONFLICT (package) DO UPDATE SET codec = excluded.codec, is_pinned = 0, bytes = excluded.bytes",
                ("@package", id),
                ("@codec", (int)document.Codec),
                ("@bytes", document.Bytes.ToArrayOrSelf()));
        }

        AppendToLog(transaction, id, log);
        var counted = transaction.Counted;
        var (isRemoved, isNew) = (commit.Facts.IsRemoved ? 1 : 0, previous.Generation == 0 ? 1 : 0);
        transaction.Counted = counted with
        {
            Packages = counted.Packages + isNew - (isRemoved - previous.IsRemoved),
            Removed = counted.Removed + isRemoved - previous.IsRemoved,
            RawBytes = counted.RawBytes + (commit.Document?.RawSizeBytes ?? previous.RawSizeBytes) - previous.RawSizeBytes,
        };
        return new CommitResult(true, previous.Generation + 1, new LogPosition(lastPosition));
    }

    private static RowMark ReadMark(SqliteSession session, PackageName name)
    {
        using var reader = session.Query("SELECT id, generation, last_position, is_removed, raw_size FROM packages WHERE name = @name", ("@name", name.Value));
        return reader.Read() ? new RowMark(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt32(3), reader.GetInt32(4)) : default;
    }

    private static void KeepPrevious(SqliteSession session, long id, PackageCommit commit)
    {
        if (commit.Document is not null && id != 0)
        {
            session.Execute(
                """
                INSERT INTO archive (package, sha256, raw_size, codec, bytes)
                    SELECT p.id, p.document_sha256, p.raw_size, d.codec, d.bytes FROM packages p JOIN documents d ON d.package = p.id
                    WHERE p.id = @id AND (@archives OR d.is_pinned)
                    ON CONFLICT DO NOTHING
                """,
                ("@id", id),
                ("@archives", commit.ArchivesPrevious));
        }
        else if (commit.ArchivesPrevious)
        {
            session.Execute("UPDATE documents SET is_pinned = 1 WHERE package = @id", ("@id", id));
        }
    }

    private static long WriteRow(SqliteSession session, RowMark previous, PackageCommit commit, long lastPosition)
    {
        var facts = commit.Facts;
        ReadOnlySpan<(string, object?)> columns =
        [
            ("@key", previous.Generation == 0 ? commit.Name.Value : previous.Id),
            ("@lastPosition", lastPosition),
            ("@isRemoved", facts.IsRemoved),
            ("@removal", facts.Removal?.ToString()),
            ("@removalReason", facts.RemovalReason),
            ("@rev", facts.Rev),
            ("@ancestors", facts.Ancestors),
            ("@upstream", facts.Upstream),
            ("@etag", facts.ETag),
            ("@lastModified", facts.LastModified),
            ("@modifiedAt", facts.ModifiedAt.ToMs()),
            ("@firstSeenAt", facts.FirstSeenAt.ToMs()),
            ("@storedAt", facts.StoredAt.ToMs()),
            ("@rawSize", commit.Document?.RawSizeBytes),
            ("@sha256", commit.Document?.Sha256.Bytes.ToArray()),
            ("@index", commit.Document is null ? null : commit.Index.ToArrayOrSelf()),
        ];
        if (previous.Generation == 0)
        {
            return session.Scalar<long>(
                """
                INSERT INTO packages (name, generation, last_position, is_removed, removal, removal_reason, rev, upstream, etag, last_modified,
                    modified_at, first_seen_at, stored_at, raw_size, document_sha256, package_index, ancestors)
                VALUES (@key, 1, @lastPosition, @isRemoved, @removal, @removalReason, @rev, @upstream, @etag, @lastModified,
                    @modifiedAt, @firstSeenAt, @storedAt, @rawSize, @sha256, @index, @ancestors)
                RETURNING id
                """,
                columns);
        }

        session.Execute(
            """
            UPDATE packages SET generation = generation + 1, last_position = @lastPosition, is_removed = @isRemoved, removal = @removal,
                removal_reason = @removalReason, rev = @rev, ancestors = @ancestors, upstream = @upstream, etag = @etag, last_modified = @lastModified,
                modified_at = @modifiedAt, first_seen_at = @firstSeenAt, stored_at = @storedAt, raw_size = coalesce(@rawSize, raw_size),
                document_sha256 = coalesce(@sha256, document_sha256), package_index = coalesce(@index, package_index)
            WHERE id = @key
            """,
            columns);
        return previous.Id;
    }

    private static PackageRow ReadRow(SqliteDataReader reader) => new()
    {
        Name = reader.GetPackage(0),
        Generation = reader.GetInt64(1),
        LastPosition = new LogPosition(reader.GetInt64(2)),
        Facts = new PackageFacts
        {
            Removal = reader.GetStringOrNull(3) is { } removal ? Enum.Parse<RemovalKind>(removal) : null,
            RemovalReason = reader.GetStringOrNull(4),
            Rev = reader.GetStringOrNull(5),
            Ancestors = reader.GetStringOrNull(15),
            Upstream = reader.GetStringOrNull(6),
            ETag = reader.GetStringOrNull(7),
            LastModified = reader.GetStringOrNull(8),
            ModifiedAt = reader.GetTimeOrNull(9),
            FirstSeenAt = reader.GetTime(10),
            StoredAt = reader.GetTime(11),
        },
        RawSizeBytes = reader.GetInt32(12),
        DocumentSha256 = reader.GetDigest(13),
        Index = reader.GetBytes(14),
    };

    private static PackageMark ReadMark(SqliteDataReader reader) => new(reader.GetPackage(0), reader.GetStringOrNull(1), reader.GetStringOrNull(2));

    // All zero for a package without a row.
    private readonly record struct RowMark(long Id, long Generation, long LastPosition, int IsRemoved, int RawSizeBytes);
}
