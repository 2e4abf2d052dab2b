using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>The packages, their documents and the archive.</summary>
internal sealed class SqlitePackages(SqliteDatabase database) : IPackageTable
{
    private const string RowColumns =
        """
        p.name, p.generation, p.last_position, p.removal, p.removal_reason, p.rev, p.upstream, p.etag, p.last_modified,
        p.modified_at, p.first_seen_at, p.stored_at, p.raw_size, p.document_sha256, p.package_index, p.ancestors, p.is_removed
        """;

    private const int RowColumnsCount = 17;
    private const int MarkBytes = 100;

    /// <inheritdoc/>
    public ValueTask<PackageRow?> FindAsync(PackageName name, CancellationToken cancellationToken) => database.ReadAsync(
        session =>
        {
            using var reader = session.Query($"SELECT {RowColumns}, EXISTS (SELECT 1 FROM documents d WHERE d.package = p.id) FROM packages p WHERE p.name = @name", ("@name", name.Value));
            if (!reader.Read() || !TryReadRow(reader, out var row))
            {
                return null;
            }

            var hasDocument = row.Damage is not null || reader.GetInt64(RowColumnsCount) != 0;
            return hasDocument ? row : row with { Index = default, Damage = new StoreDamage("documents", name.Value, "bytes", "nothing") { Package = name } };
        },
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<StoredPackage?> ReadAsync(PackageName name, CancellationToken cancellationToken)
    {
        var (package, damage) = await database.ReadAsync(
            session =>
            {
                // A document that is not there is damage, not the absence of the package.
                using var reader = session.Query(
                    $"SELECT {RowColumns}, d.codec, d.bytes FROM packages p LEFT JOIN documents d ON d.package = p.id WHERE p.name = @name",
                    ("@name", name.Value));
                if (!reader.Read() || !TryReadRow(reader, out var row))
                {
                    return default;
                }

                var values = new CheckedRow(reader, "documents");
                var document = new StoredDocument((DocumentCodec)values.Integer(RowColumnsCount), values.Bytes(RowColumnsCount + 1), row.RawSizeBytes, row.DocumentSha256);
                return (Package: new StoredPackage(row, document), Damage: row.Damage ?? values.Damage);
            },
            cancellationToken);
        return damage is null ? package : throw damage.ToException();
    }

    /// <inheritdoc/>
    public async ValueTask<StoredDocument?> ReadArchivedAsync(PackageName name, Digest sha256, CancellationToken cancellationToken)
    {
        var (document, damage) = await database.ReadAsync(
            session =>
            {
                using var reader = session.Query(
                    """
                    SELECT p.name, a.codec, a.bytes, a.raw_size FROM packages p JOIN archive a ON a.package = p.id
                        WHERE p.name = @name AND a.sha256 = @sha256
                    UNION ALL
                    SELECT p.name, d.codec, d.bytes, p.raw_size FROM packages p JOIN documents d ON d.package = p.id
                        WHERE p.name = @name AND p.document_sha256 = @sha256 AND d.is_pinned
                    LIMIT 1
                    """,
                    ("@name", name.Value),
                    ("@sha256", sha256.Bytes.ToArray()));
                if (!reader.Read())
                {
                    return default;
                }

                var values = new CheckedRow(reader, "archive");
                return (Document: new StoredDocument((DocumentCodec)values.Integer(1), values.Bytes(2), values.Integer(3), sha256), values.Damage);
            },
            cancellationToken);
        return damage is null ? document : throw damage.ToException();
    }

    /// <inheritdoc/>
    public ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken)
    {
        var sizeBytes = (commit.Document?.Bytes.Length ?? 0) + commit.Index.Length + commit.Events.Sum(pending => (long)pending.Payload.Length);
        return database.WriteAsync(transaction => Commit(transaction, commit), commit.IsPatient ? WriteUrgency.Together : WriteUrgency.Now, sizeBytes, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<long?> PurgeAsync(PackagePurge purge, CancellationToken cancellationToken) => database.WriteAsync(transaction => SqlitePurge.Run(transaction.Session, purge), 0, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<PackageRow> ListAsync(PackageName? after, bool isRemoved, CancellationToken cancellationToken)
    {
        // A literal, not a parameter: only then does SQLite use the graveyard's own index.
        var sql = $"SELECT {RowColumns} FROM packages p WHERE p.name > @after AND p.is_removed = {(isRemoved ? 1 : 0)} ORDER BY p.name LIMIT {SqlitePages.RowsMax}";
        return database.PagesAsync<PackageRow, object>(after?.Value ?? "", SqlitePages.RowsMax, (session, last) => session.Query(sql, ("@after", last)), TryReadRow, SqlitePages.NameOf, row => row.Index.Length, cancellationToken);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<PackageMark> ListMarksAsync(string from, bool isRemoved, CancellationToken cancellationToken)
    {
        // Held packages are read from their index alone, in its order: rows lie in the order they came, and millions of jumps are minutes.
        var index = isRemoved ? "packages_removed" : "packages_listed";
        var sql = $"SELECT name, rev, upstream FROM packages INDEXED BY {index} WHERE name >= @from AND is_removed = {(isRemoved ? 1 : 0)} ORDER BY name LIMIT {SqlitePages.MarksMax}";

        return database.PagesAsync<PackageMark, object>(from, SqlitePages.MarksMax, (session, first) => session.Query(sql, ("@from", first)), TryReadMark, reader => SqlitePages.After(SqlitePages.NameOf(reader)), _ => MarkBytes, cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<PackageRow> ListChangesAsync(LogPosition from, bool isDescending, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await database.ReadAsync(SqliteLog.ReadHead, cancellationToken)).Position.Value;
        var sql = ChangesSql(isDescending);
        var rows = database.PagesAsync<PackageRow, object>(
            from.Value,
            SqlitePages.RowsMax,
            (session, last) => session.Query(sql, ("@head", head), ("@from", last)),
            TryReadRow,
            reader => reader.GetValue(2),
            row => row.Index.Length,
            cancellationToken);
        await foreach (var row in rows)
        {
            yield return row;
        }
    }

    /// <summary>The rows after or before a position, in the order of the log. SQLite enters the index by the first bound that it reads: the one that is on every row comes last.</summary>
    internal static string ChangesSql(bool isDescending)
    {
        var (range, order) = isDescending ? ("p.last_position < @from", "DESC") : ("p.last_position > @from", "ASC");
        return $"SELECT {RowColumns} FROM packages p WHERE {range} AND p.last_position <= @head AND p.last_position > 0 ORDER BY p.last_position {order} LIMIT {SqlitePages.RowsMax}";
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

        var log = SqliteLog.Number(transaction, commit);
        var lastPosition = log.Count > 0 ? log[^1].Position.Value : previous.LastPosition;
        SqliteLog.FreePositions(session, previous.Id, log);
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

        SqliteLog.Append(transaction, id, log);
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

    /// <summary>The values of the row that a commit replaces.</summary>
    internal static RowMark ReadMark(SqliteSession session, PackageName name)
    {
        using var reader = session.Query("SELECT id, generation, last_position, is_removed, raw_size FROM packages WHERE name = @name", ("@name", name.Value));
        if (!reader.Read())
        {
            return default;
        }

        // Invalid values count as in the row that readers get, so that a commit made from it is valid; the log itself knows the last position.
        var values = new CheckedRow(reader, "packages");
        var id = reader.GetInt64(0);
        return new RowMark(id, values.Number(1, min: 1, instead: 1), values.Number(2, instead: -1) is >= 0 and var position ? position : ReadLastPosition(session, id), values.Integer(3, 0, 1), values.Integer(4));
    }

    private static long ReadLastPosition(SqliteSession session, long id) => session.Scalar<long>("SELECT coalesce(max(position), 0) FROM log WHERE package = @id", ("@id", id));

    private static void KeepPrevious(SqliteSession session, long id, PackageCommit commit)
    {
        if (commit.Document is not null)
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
            ("@generation", previous.Generation + 1),
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
                VALUES (@key, @generation, @lastPosition, @isRemoved, @removal, @removalReason, @rev, @upstream, @etag, @lastModified,
                    @modifiedAt, @firstSeenAt, @storedAt, @rawSize, @sha256, @index, @ancestors)
                RETURNING id
                """,
                columns);
        }

        session.Execute(
            """
            UPDATE packages SET generation = @generation, last_position = @lastPosition, is_removed = @isRemoved, removal = @removal,
                removal_reason = @removalReason, rev = @rev, ancestors = @ancestors, upstream = @upstream, etag = @etag, last_modified = @lastModified,
                modified_at = @modifiedAt, first_seen_at = @firstSeenAt, stored_at = @storedAt, raw_size = coalesce(@rawSize, raw_size),
                document_sha256 = coalesce(@sha256, document_sha256), package_index = coalesce(@index, package_index)
            WHERE id = @key
            """,
            columns);
        return previous.Id;
    }

    /// <summary>Reads a row, damaged or not; false if its name is no package's.</summary>
    private static bool TryReadRow(SqliteDataReader reader, [MaybeNullWhen(false)] out PackageRow row)
    {
        row = null;
        var values = new CheckedRow(reader, "packages");
        if (values.Package(0) is not { } name)
        {
            return false;
        }

        var removal = ReadRemoval(ref values);
        var storedAt = values.Time(11);
        var facts = new PackageFacts
        {
            Removal = removal,
            RemovalReason = values.TextOrNull(4),
            Rev = values.TextOrNull(5),
            Ancestors = values.TextOrNull(15),
            Upstream = values.TextOrNull(6),
            ETag = values.TextOrNull(7),
            LastModified = values.TextOrNull(8),
            ModifiedAt = values.TimeOrNull(9),
            FirstSeenAt = values.Time(10, storedAt),
            StoredAt = storedAt,
        };
        row = new PackageRow
        {
            Name = name,
            Generation = values.Number(1, min: 1, instead: 1),
            LastPosition = new LogPosition(values.Number(2)),
            Facts = facts,
            RawSizeBytes = values.Integer(12),
            DocumentSha256 = values.Digest(13, SHA256.HashSizeInBytes),
            Index = values.Bytes(14),
        };
        if (values.Flag(16) != facts.IsRemoved)
        {
            values.Note(16);
        }

        // Without its index a damaged row is not used by mistake.
        row = values.Damage is null ? row : row with { Index = default, Damage = values.Damage };
        return true;
    }

    private static RemovalKind? ReadRemoval(ref CheckedRow values)
    {
        if (values.TextOrNull(3) is not { } text)
        {
            return null;
        }

        if (Enum.TryParse<RemovalKind>(text, out var kind) && kind.ToString() == text)
        {
            return kind;
        }

        // The column that lists go by is believed meanwhile.
        values.Note(3);
        return values.Number(16, 0, 1) == 1 ? RemovalKind.Gone : null;
    }

    private static bool TryReadMark(SqliteDataReader reader, out PackageMark mark)
    {
        var values = new CheckedRow(reader, "packages");
        var name = values.Package(0);
        mark = new PackageMark(name ?? default, values.TextOrNull(1), values.TextOrNull(2));
        return name is not null;
    }

    // All zero for a package without a row.
    internal readonly record struct RowMark(long Id, long Generation, long LastPosition, int IsRemoved, int RawSizeBytes);
}
