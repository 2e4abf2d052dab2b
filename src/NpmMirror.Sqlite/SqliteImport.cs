using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>Takes over rows of another store as they are.</summary>
internal sealed class SqliteImport(SqliteDatabase database) : IImportTable
{
    private const string PutRow =
        """
        INSERT INTO packages (name, generation, last_position, is_removed, removal, removal_reason, rev, upstream, etag, last_modified,
            modified_at, first_seen_at, stored_at, raw_size, document_sha256, package_index, ancestors)
        VALUES (@name, @generation, @lastPosition, @isRemoved, @removal, @removalReason, @rev, @upstream, @etag, @lastModified,
            @modifiedAt, @firstSeenAt, @storedAt, @rawSize, @sha256, @index, @ancestors)
        ON CONFLICT (name) DO UPDATE SET generation = excluded.generation, last_position = excluded.last_position, is_removed = excluded.is_removed,
            removal = excluded.removal, removal_reason = excluded.removal_reason, rev = excluded.rev, upstream = excluded.upstream, etag = excluded.etag,
            last_modified = excluded.last_modified, modified_at = excluded.modified_at, first_seen_at = excluded.first_seen_at, stored_at = excluded.stored_at,
            raw_size = excluded.raw_size, document_sha256 = excluded.document_sha256, package_index = excluded.package_index, ancestors = excluded.ancestors
        RETURNING id
        """;

    /// <inheritdoc/>
    public async ValueTask PutPackageAsync(StoredPackage package, bool isPinned, CancellationToken cancellationToken) =>
        await database.WriteAsync(transaction => Put(transaction, package, isPinned), package.Document.Bytes.Length + package.Row.Index.Length, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> PutArchivedAsync(PackageName name, StoredDocument document, CancellationToken cancellationToken) => database.WriteAsync(
        transaction =>
        {
            var mark = SqlitePackages.ReadMark(transaction.Session, name);
            if (mark.Generation != 0)
            {
                transaction.Session.Execute(
                    """
                    INSERT INTO archive (package, sha256, raw_size, codec, bytes) SELECT @id, @sha256, @rawSize, @codec, @bytes
                        WHERE NOT EXISTS (SELECT 1 FROM packages p JOIN documents d ON d.package = p.id WHERE p.id = @id AND p.document_sha256 = @sha256 AND d.is_pinned)
                        ON CONFLICT DO NOTHING
                    """,
                    ("@id", mark.Id),
                    ("@sha256", document.Sha256.Bytes.ToArray()),
                    ("@rawSize", document.RawSizeBytes),
                    ("@codec", (int)document.Codec),
                    ("@bytes", document.Bytes.ToArrayOrSelf()));
            }

            return mark.Generation != 0;
        },
        document.Bytes.Length,
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<int> AppendLogAsync(IReadOnlyList<LogRow> rows, CancellationToken cancellationToken) => database.WriteAsync(
        transaction =>
        {
            var ids = new Dictionary<PackageName, long>();
            List<LogRow> known = [.. rows.TakeWhile(row => (ids.TryGetValue(row.Package, out var id) ? id : ids[row.Package] = SqlitePackages.ReadMark(transaction.Session, row.Package).Id) != 0)];
            var head = LogContinuation.Of(transaction.Head, known);
            known.ForEach(row => SqliteLog.Append(transaction, ids[row.Package], [row]));
            if (known.Count > 0)
            {
                transaction.Head = head;
            }

            return known.Count;
        },
        rows.Sum(row => (long)(row.Payload?.Length ?? 0)),
        cancellationToken);

    private static bool Put(WriteTransaction transaction, StoredPackage package, bool isPinned)
    {
        var (session, row, document) = (transaction.Session, package.Row, package.Document);
        var previous = SqlitePackages.ReadMark(session, row.Name);
        session.Execute(
            """
            INSERT INTO archive (package, sha256, raw_size, codec, bytes)
                SELECT p.id, p.document_sha256, p.raw_size, d.codec, d.bytes FROM packages p JOIN documents d ON d.package = p.id
                WHERE p.id = @id AND d.is_pinned AND p.document_sha256 <> @sha256
                ON CONFLICT DO NOTHING
            """,
            ("@id", previous.Id),
            ("@sha256", document.Sha256.Bytes.ToArray()));
        var facts = row.Facts;
        var id = session.Scalar<long>(
            PutRow,
            ("@name", row.Name.Value),
            ("@generation", row.Generation),
            ("@lastPosition", row.LastPosition.Value),
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
            ("@rawSize", row.RawSizeBytes),
            ("@sha256", row.DocumentSha256.Bytes.ToArray()),
            ("@index", row.Index.ToArrayOrSelf()));
        session.Execute(
            """
            INSERT INTO documents (package, codec, is_pinned, bytes) VALUES (@package, @codec, @isPinned, @bytes)
                ON CONFLICT (package) DO UPDATE SET codec = excluded.codec, is_pinned = excluded.is_pinned, bytes = excluded.bytes
            """,
            ("@package", id),
            ("@codec", (int)document.Codec),
            ("@isPinned", isPinned),
            ("@bytes", document.Bytes.ToArrayOrSelf()));
        var (isRemoved, isNew) = (facts.IsRemoved ? 1 : 0, previous.Generation == 0 ? 1 : 0);
        transaction.Counted = transaction.Counted with
        {
            Packages = transaction.Counted.Packages + isNew - (isRemoved - previous.IsRemoved),
            Removed = transaction.Counted.Removed + isRemoved - previous.IsRemoved,
            RawBytes = transaction.Counted.RawBytes + row.RawSizeBytes - previous.RawSizeBytes,
        };
        return true;
    }
}
