using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

public sealed partial class SqliteStore
{
    // Of a page's bytes, about what a key takes.
    private const int CursorMarkBytes = 200;

    /// <inheritdoc/>
    public ValueTask<string?> GetCursorAsync(string key, CancellationToken cancellationToken) =>
        ReadAsync(session => session.Scalar<string>("SELECT value FROM cursors WHERE key = @key", ("@key", key)), cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<CursorMark> ListCursorsAsync(string prefix, CancellationToken cancellationToken)
    {
        var sql = $"SELECT key, octet_length(value) FROM cursors WHERE key >= @from AND substr(key, 1, length(@prefix)) = @prefix ORDER BY key LIMIT {PageRowsMax}";
        return PagesAsync<CursorMark, object>(
            prefix,
            PageRowsMax,
            (session, from) => session.Query(sql, ("@from", from), ("@prefix", prefix)),
            (SqliteDataReader reader, out CursorMark mark) =>
            {
                var values = new CheckedRow(reader, "cursors");
                mark = new CursorMark(values.Text(0), values.Number(1));
                return values.Damage is null;
            },
            reader => After(NameOf(reader)),
            _ => CursorMarkBytes,
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask SetCursorAsync(string key, string? value, CancellationToken cancellationToken) =>
        await WriteAsync(transaction => SetCursor(transaction.Session, key, value), 0, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> TryHoldLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken) => WriteAsync(
        transaction =>
        {
            var now = Now;
            return transaction.Session.Execute(
                """
                INSERT INTO leases (name, owner, until) VALUES (@name, @owner, @until)
                ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until WHERE owner = excluded.owner OR until <= @now OR until > @leaseMax
                """,
                ("@name", name),
                ("@owner", owner),
                ("@until", StoredMoments.EndOfLease(now, duration).ToMs()),
                ("@now", now.ToMs()),
                ("@leaseMax", LeaseMax(now))) > 0;
        },
        0,
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask ReleaseLeaseAsync(string name, string owner, CancellationToken cancellationToken) => await WriteAsync(
        transaction => transaction.Session.Execute("DELETE FROM leases WHERE name = @name AND owner = @owner", ("@name", name), ("@owner", owner)),
        0,
        cancellationToken);

    private static int SetCursor(SqliteSession session, string key, string? value) => value is null
        ? session.Execute("DELETE FROM cursors WHERE key = @key", ("@key", key))
        : session.Execute("INSERT INTO cursors (key, value) VALUES (@key, @value) ON CONFLICT (key) DO UPDATE SET value = excluded.value", ("@key", key), ("@value", value));
}
