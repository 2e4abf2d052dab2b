using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>Texts under a key.</summary>
internal sealed class SqliteNotes(SqliteDatabase database) : INoteTable
{
    // Roughly the bytes of a key, counted against a page.
    private const int MarkBytes = 200;

    /// <inheritdoc/>
    public ValueTask<string?> FindNoteAsync(string key, CancellationToken cancellationToken) =>
        database.ReadAsync(session => session.Scalar<string>("SELECT value FROM notes WHERE key = @key", ("@key", key)), cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<NoteMark> ListNotesAsync(string prefix, CancellationToken cancellationToken)
    {
        var sql = $"SELECT key, octet_length(value) FROM notes WHERE key >= @from AND key <> '{SqliteLog.HeadKey}' AND substr(key, 1, length(@prefix)) = @prefix ORDER BY key LIMIT {SqlitePages.RowsMax}";
        return database.PagesAsync<NoteMark, object>(
            prefix,
            SqlitePages.RowsMax,
            (session, from) => session.Query(sql, ("@from", from), ("@prefix", prefix)),
            (SqliteDataReader reader, out NoteMark mark) =>
            {
                var values = new CheckedRow(reader, "notes");
                mark = new NoteMark(values.Text(0), values.Number(1));
                return values.Damage is null;
            },
            reader => SqlitePages.After(SqlitePages.NameOf(reader)),
            _ => MarkBytes,
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask SetNoteAsync(string key, string? text, CancellationToken cancellationToken) =>
        await database.WriteAsync(transaction => Set(transaction.Session, key, text), 0, cancellationToken);

    /// <summary>Sets or removes a text, in a transaction of others.</summary>
    internal static int Set(SqliteSession session, string key, string? text) => text is null
        ? session.Execute("DELETE FROM notes WHERE key = @key", ("@key", key))
        : session.Execute("INSERT INTO notes (key, value) VALUES (@key, @value) ON CONFLICT (key) DO UPDATE SET value = excluded.value", ("@key", key), ("@value", text));
}
