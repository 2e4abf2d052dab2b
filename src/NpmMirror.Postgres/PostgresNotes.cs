using System.Text;
using Npgsql;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>Texts under a key.</summary>
internal sealed class PostgresNotes(PostgresDatabase database) : INoteTable
{
    // Of a page's bytes, about what a key takes.
    private const int MarkBytes = 200;

    /// <inheritdoc/>
    public ValueTask<string?> FindNoteAsync(string key, CancellationToken cancellationToken) => database.ReadAsync(
        async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("select value from notes where key = $1", connection).With(Param(key));
            await using var reader = await command.ExecuteReaderAsync(token);
            return await reader.ReadAsync(token) ? reader.GetText(0) : null;
        },
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<NoteMark> ListNotesAsync(string prefix, CancellationToken cancellationToken)
    {
        var sql = $"select key, size from notes where key >= $1 and starts_with(key, $2) order by key limit {PostgresPages.RowsMax}";
        return database.PagesAsync<NoteMark, string>(
            prefix,
            PostgresPages.RowsMax,
            from => new NpgsqlCommand(sql).With(Param(from), Param(prefix)),
            (NpgsqlDataReader reader, out NoteMark mark) =>
            {
                mark = new NoteMark(reader.GetText(0), reader.GetInt32(1));
                return true;
            },
            reader => PostgresPages.After(reader.GetText(0)),
            _ => MarkBytes,
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask SetNoteAsync(string key, string? text, CancellationToken cancellationToken) =>
        await database.WriteAsync((connection, token) => SetAsync(connection, key, text, token), cancellationToken);

    /// <summary>Sets or removes a text, in a transaction of others.</summary>
    internal static async ValueTask<int> SetAsync(NpgsqlConnection connection, string key, string? text, CancellationToken cancellationToken)
    {
        const string Put = "insert into notes (key, value, size) values ($1, $2, $3) on conflict (key) do update set value = excluded.value, size = excluded.size";
        await using var command = text is null
            ? new NpgsqlCommand("delete from notes where key = $1", connection).With(Param(key))
            : new NpgsqlCommand(Put, connection).With(Param(key), Param(text), Param(Encoding.UTF8.GetByteCount(text)));
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
