using Npgsql;
using NpmMirror.Log;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>Takes over rows of another store as they are.</summary>
internal sealed class PostgresImport(PostgresDatabase database, PostgresLogWatch watch) : IImportTable
{
    private const string KeepPrevious =
        """
        insert into archive (package, sha256, raw_size, codec, bytes)
        select p.id, p.document_sha256, p.raw_size, d.codec, d.bytes from packages p join documents d on d.package = p.id
        where p.name = $1 and d.is_pinned and p.document_sha256 <> $2
        on conflict do nothing
        """;

    // Of a package without a row, its number alone.
    private const string Find =
        """
        with found as (select id, generation, described, has_manifests, case when described = generation then package_index end from packages where name = $1 for update)
        select * from found union all select nextval('package_ids'), 0, 0, false, null where not exists (select from found)
        """;

    private const string PutRow =
        """
        with put as (
            insert into packages (id, name, generation, last_position, is_removed, removal, removal_reason, rev, ancestors, upstream, etag, last_modified,
                modified_at, first_seen_at, stored_at, raw_size, document_sha256, package_index, described, has_manifests, description, license)
            values ($21, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $22, $23, $24, $25)
            on conflict (name) do update set generation = excluded.generation, last_position = excluded.last_position, is_removed = excluded.is_removed,
                removal = excluded.removal, removal_reason = excluded.removal_reason, rev = excluded.rev, ancestors = excluded.ancestors,
                upstream = excluded.upstream, etag = excluded.etag, last_modified = excluded.last_modified, modified_at = excluded.modified_at,
                first_seen_at = excluded.first_seen_at, stored_at = excluded.stored_at, raw_size = excluded.raw_size,
                document_sha256 = excluded.document_sha256, package_index = excluded.package_index,
                described = excluded.described, has_manifests = excluded.has_manifests, description = excluded.description, license = excluded.license
            where packages.id = excluded.id
            returning id)
        insert into documents (package, codec, is_pinned, bytes) select id, $18, $19, $20 from put
        on conflict (package) do update set codec = excluded.codec, is_pinned = excluded.is_pinned, bytes = excluded.bytes
        """;

    private const string PutArchived =
        """
        with of_package as (select id, document_sha256 from packages where name = $1),
        put as (
            insert into archive (package, sha256, raw_size, codec, bytes) select p.id, $2, $3, $4, $5 from of_package p
            where not exists (select from documents d where d.package = p.id and d.is_pinned and p.document_sha256 = $2)
            on conflict do nothing)
        select exists (select from of_package)
        """;

    /// <inheritdoc/>
    public async ValueTask PutPackageAsync(StoredPackage package, bool isPinned, CancellationToken cancellationToken) => await database.WriteAsync(
        async (connection, token) =>
        {
            var (row, facts, document) = (package.Row, package.Row.Facts, package.Document);
            var before = await FindAsync(connection, row.Name, token);
            var rows = new QueryRows(connection);
            var described = await PackageDescription.WriteAsync(rows, row.Name, before, row.Generation, facts.IsRemoved, document, row.Index, database.Address.Queries, token);
            await using var batch = new NpgsqlBatch(connection);
            rows.MoveTo(batch);
            batch.Add(KeepPrevious, Param(row.Name.Value), Param(row.DocumentSha256));
            var put = batch.Add(
                PutRow,
                Param(row.Name.Value),
                Param(row.Generation),
                Param(row.LastPosition.Value),
                Param(facts.IsRemoved),
                Param(facts.Removal?.ToString()),
                Param(facts.RemovalReason),
                Param(facts.Rev),
                Param(facts.Ancestors),
                Param(facts.Upstream),
                Param(facts.ETag),
                Param(facts.LastModified),
                Param(facts.ModifiedAt),
                Param(facts.FirstSeenAt),
                Param(facts.StoredAt),
                Param(row.RawSizeBytes),
                Param(row.DocumentSha256),
                Param((ReadOnlyMemory<byte>?)row.Index),
                Param((int)document.Codec),
                Param(isPinned),
                Param((ReadOnlyMemory<byte>?)document.Bytes),
                Param(before.Id),
                Param(described.Described),
                Param(described.HasManifests),
                Param(described.Description),
                Param(described.License));
            await batch.ExecuteNonQueryAsync(token);
            return put.RecordsAffected > 0 ? true : throw new LostRaceException();
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> PutArchivedAsync(PackageName name, StoredDocument document, CancellationToken cancellationToken) => database.WriteAsync(
        async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(PutArchived, connection)
                .With(Param(name.Value), Param(document.Sha256), Param(document.RawSizeBytes), Param((int)document.Codec), Param((ReadOnlyMemory<byte>?)document.Bytes));
            return await command.ExecuteScalarAsync(token) is true;
        },
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<int> AppendLogAsync(IReadOnlyList<LogRow> rows, CancellationToken cancellationToken)
    {
        var (appended, end) = await database.WriteAsync((connection, token) => AppendAsync(connection, rows, token), cancellationToken);
        watch.Signal.Advance(end.Position);
        return appended;
    }

    private static async ValueTask<DescribedBefore> FindAsync(NpgsqlConnection connection, PackageName name, CancellationToken cancellationToken)
    {
        await using var find = new NpgsqlCommand(Find, connection).With(Param(name.Value));
        await using var reader = await find.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new DescribedBefore(
            reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetBoolean(3), await reader.IsDBNullAsync(4, cancellationToken) ? null : reader.GetBytes(4));
    }

    private static async ValueTask<(int Appended, LogHead End)> AppendAsync(NpgsqlConnection connection, IReadOnlyList<LogRow> rows, CancellationToken cancellationToken)
    {
        var ids = new Dictionary<PackageName, long>();
        await using (var find = new NpgsqlCommand("select name, id from packages where name = any($1)", connection).With(Params(rows.Select(row => row.Package.Value).Distinct())))
        await using (var reader = await find.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                ids[PackageName.Parse(reader.GetText(0))] = reader.GetInt64(1);
            }
        }

        await using var read = new NpgsqlCommand(PostgresLog.LockHead, connection);
        LogHead head;
        await using (var reader = await read.ExecuteReaderAsync(cancellationToken))
        {
            head = await PostgresLog.ReadHeadAsync(reader, cancellationToken);
        }

        List<LogRow> known = [.. rows.TakeWhile(row => ids.ContainsKey(row.Package))];
        var end = LogContinuation.Of(head, known);
        if (known.Count > 0)
        {
            await using var batch = new NpgsqlBatch(connection);
            PostgresLog.Append(batch, known, known.ConvertAll(row => ids[row.Package]), end);
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }

        return (known.Count, end);
    }
}
