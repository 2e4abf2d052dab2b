using Npgsql;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>Documents of the upstream beside the packuments.</summary>
internal sealed class PostgresKept(PostgresDatabase database) : IKeptTable
{
    // Of a page's bytes, about what a path takes.
    private const int MarkBytes = 200;

    /// <inheritdoc/>
    public ValueTask<ReadOnlyMemory<byte>?> FindKeptAsync(string path, CancellationToken cancellationToken) => database.ReadAsync(
        async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("select bytes from kept where path = $1", connection).With(Param(path));
            return await command.ExecuteScalarAsync(token) is byte[] bytes ? (ReadOnlyMemory<byte>?)bytes : null;
        },
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask KeepAsync(string path, ReadOnlyMemory<byte>? document, CancellationToken cancellationToken) => await database.WriteAsync(
        async (connection, token) =>
        {
            const string Put = "insert into kept (path, bytes) values ($1, $2) on conflict (path) do update set bytes = excluded.bytes";
            await using var command = document is null
                ? new NpgsqlCommand("delete from kept where path = $1", connection).With(Param(path))
                : new NpgsqlCommand(Put, connection).With(Param(path), Param(document));
            return await command.ExecuteNonQueryAsync(token);
        },
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<KeptMark> ListKeptAsync(string prefix, CancellationToken cancellationToken)
    {
        var sql = $"select path, octet_length(bytes) from kept where path >= $1 and starts_with(path, $2) order by path limit {PostgresPages.RowsMax}";
        return database.PagesAsync<KeptMark, string>(
            prefix,
            PostgresPages.RowsMax,
            from => new NpgsqlCommand(sql).With(Param(from), Param(prefix)),
            (NpgsqlDataReader reader, out KeptMark mark) =>
            {
                mark = new KeptMark(reader.GetText(0), reader.GetInt32(1));
                return true;
            },
            reader => PostgresPages.After(reader.GetText(0)),
            _ => MarkBytes,
            cancellationToken);
    }
}
