using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>Documents of the upstream beside the packuments.</summary>
internal sealed class SqliteKept(SqliteDatabase database) : IKeptTable
{
    // Roughly the bytes of a path, counted against a page.
    private const int MarkBytes = 200;

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>?> FindKeptAsync(string path, CancellationToken cancellationToken) =>
        await database.ReadAsync(session => session.Scalar<object>("SELECT bytes FROM kept WHERE path = @path", ("@path", path)) as byte[], cancellationToken) is { } bytes ? (ReadOnlyMemory<byte>?)bytes : null;

    /// <inheritdoc/>
    public async ValueTask KeepAsync(string path, ReadOnlyMemory<byte>? document, CancellationToken cancellationToken) => await database.WriteAsync(
        transaction => document is { } bytes
            ? transaction.Session.Execute("INSERT INTO kept (path, bytes) VALUES (@path, @bytes) ON CONFLICT (path) DO UPDATE SET bytes = excluded.bytes", ("@path", path), ("@bytes", bytes.ToArrayOrSelf()))
            : transaction.Session.Execute("DELETE FROM kept WHERE path = @path", ("@path", path)),
        document?.Length ?? 0,
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<KeptMark> ListKeptAsync(string prefix, CancellationToken cancellationToken)
    {
        var sql = $"SELECT path, length(bytes) FROM kept WHERE path >= @from AND substr(path, 1, length(@prefix)) = @prefix ORDER BY path LIMIT {SqlitePages.RowsMax}";
        return database.PagesAsync<KeptMark, object>(
            prefix,
            SqlitePages.RowsMax,
            (session, from) => session.Query(sql, ("@from", from), ("@prefix", prefix)),
            (SqliteDataReader reader, out KeptMark mark) =>
            {
                var values = new CheckedRow(reader, "kept");
                mark = new KeptMark(values.Text(0), values.Number(1));
                return values.Damage is null;
            },
            reader => SqlitePages.After(SqlitePages.NameOf(reader)),
            _ => MarkBytes,
            cancellationToken);
    }
}
