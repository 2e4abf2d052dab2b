using System.Data;
using System.Runtime.CompilerServices;
using Npgsql;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>The packages, their documents and the archive.</summary>
internal sealed class PostgresPackages(PostgresDatabase database, CommitGroups commits) : IPackageTable
{
    private const int MarkBytes = 100;

    /// <inheritdoc/>
    public ValueTask<PackageRow?> FindAsync(PackageName name, CancellationToken cancellationToken) => database.ReadAsync(
        async (connection, token) =>
        {
            const string Find = $"select {PostgresRows.Columns}, exists (select from documents d where d.package = p.id) from packages p where p.name = $1";
            await using var command = new NpgsqlCommand(Find, connection).With(Param(name.Value));
            await using var reader = await command.ExecuteReaderAsync(token);
            return !await reader.ReadAsync(token) || !PostgresRows.TryRead(reader, out var row) ? null
                : reader.GetBoolean(PostgresRows.ColumnsCount) ? row
                : row.WithoutDocument();
        },
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<StoredPackage?> ReadAsync(PackageName name, CancellationToken cancellationToken)
    {
        var package = await database.ReadAsync(
            async (connection, token) =>
            {
                // A document that is not there is damage, not the absence of the package. In their order, so that a large one is never held twice.
                const string Read = $"select {PostgresRows.Columns}, d.codec, d.bytes from packages p left join documents d on d.package = p.id where p.name = $1";
                await using var command = new NpgsqlCommand(Read, connection).With(Param(name.Value));
                await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess | CommandBehavior.SingleRow, token);
                if (!await reader.ReadAsync(token) || !PostgresRows.TryRead(reader, out var row))
                {
                    return null;
                }

                var codec = await reader.IsDBNullAsync(PostgresRows.ColumnsCount, token) ? (short?)null : reader.GetInt16(PostgresRows.ColumnsCount);
                return codec is null
                    ? new StoredPackage(row.WithoutDocument(), new StoredDocument(default, default, 0, default))
                    : new StoredPackage(row, new StoredDocument((DocumentCodec)codec, await reader.GetFieldValueAsync<byte[]>(PostgresRows.ColumnsCount + 1, token), row.RawSizeBytes, row.DocumentSha256));
            },
            cancellationToken);
        return package?.Row.Damage is { } damage ? throw damage.ToException() : package;
    }

    /// <inheritdoc/>
    public ValueTask<StoredDocument?> ReadArchivedAsync(PackageName name, Digest sha256, CancellationToken cancellationToken) => database.ReadAsync(
        async (connection, token) =>
        {
            const string Read =
                """
                select a.codec, a.raw_size, a.bytes from packages p join archive a on a.package = p.id where p.name = $1 and a.sha256 = $2
                union all
                select d.codec, p.raw_size, d.bytes from packages p join documents d on d.package = p.id where p.name = $1 and p.document_sha256 = $2 and d.is_pinned
                limit 1
                """;
            await using var command = new NpgsqlCommand(Read, connection).With(Param(name.Value), Param(sha256));
            await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess | CommandBehavior.SingleRow, token);
            if (!await reader.ReadAsync(token))
            {
                return null;
            }

            var (codec, rawSize) = ((DocumentCodec)reader.GetInt16(0), reader.GetInt32(1));
            return new StoredDocument(codec, await reader.GetFieldValueAsync<byte[]>(2, token), rawSize, sha256);
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken) => commits.CommitAsync(commit, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<long?> PurgeAsync(PackagePurge purge, CancellationToken cancellationToken) =>
        database.WriteAsync((connection, token) => PostgresPurge.RunAsync(connection, purge, token), cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<PackageRow> ListAsync(PackageName? after, bool isRemoved, CancellationToken cancellationToken)
    {
        var sql = $"select {PostgresRows.Columns} from packages p where p.name > $1 and {Where(isRemoved)} order by p.name limit {PostgresPages.RowsMax}";
        return database.PagesAsync<PackageRow, string>(
            after?.Value ?? "", PostgresPages.RowsMax, last => new NpgsqlCommand(sql).With(Param(last)), PostgresRows.TryRead, reader => reader.GetText(0), row => row.Index.Length, cancellationToken);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<PackageMark> ListMarksAsync(string from, bool isRemoved, CancellationToken cancellationToken)
    {
        var sql = $"select p.name, p.rev, p.upstream from packages p where p.name >= $1 and {Where(isRemoved)} order by p.name limit {PostgresPages.MarksMax}";
        return database.PagesAsync<PackageMark, string>(
            from,
            PostgresPages.MarksMax,
            first => new NpgsqlCommand(sql).With(Param(first)),
            (NpgsqlDataReader reader, out PackageMark mark) =>
            {
                var isName = PackageName.TryParse(reader.GetText(0), out var name);
                mark = new PackageMark(name, reader.GetTextOrNull(1), reader.GetTextOrNull(2));
                return isName;
            },
            reader => PostgresPages.After(reader.GetText(0)),
            _ => MarkBytes,
            cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<PackageRow> ListChangesAsync(LogPosition from, bool isDescending, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await database.ReadAsync(PostgresLog.ReadHeadAsync, cancellationToken)).Position.Value;
        var (range, order) = isDescending ? ("p.last_position < $2", "desc") : ("p.last_position > $2", "asc");
        var sql = $"select {PostgresRows.Columns} from packages p where p.last_position > 0 and p.last_position <= $1 and {range} order by p.last_position {order} limit {PostgresPages.RowsMax}";
        var rows = database.PagesAsync<PackageRow, long>(
            from.Value, PostgresPages.RowsMax, last => new NpgsqlCommand(sql).With(Param(head), Param(last)), PostgresRows.TryRead, reader => reader.GetInt64(2), row => row.Index.Length, cancellationToken);
        await foreach (var row in rows)
        {
            yield return row;
        }
    }

    // Written out, not a parameter: only then is the graveyard's own index used.
    private static string Where(bool isRemoved) => isRemoved ? "p.is_removed" : "not p.is_removed";
}
