using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>Leases.</summary>
internal sealed class SqliteLeases(SqliteDatabase database) : ILeaseTable
{
    /// <inheritdoc/>
    public ValueTask<bool> TryHoldLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken) => database.WriteAsync(
        transaction =>
        {
            var now = database.Now;
            return transaction.Session.Execute(
                """
                INSERT INTO leases (name, owner, until) VALUES (@name, @owner, @until)
                ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until WHERE owner = excluded.owner OR until <= @now OR until > @leaseMax
                """,
                ("@name", name),
                ("@owner", owner),
                ("@until", StoredMoments.EndOfLease(now, duration).ToMs()),
                ("@now", now.ToMs()),
                ("@leaseMax", SqliteValues.LeaseMax(now))) > 0;
        },
        0,
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask ReleaseLeaseAsync(string name, string owner, CancellationToken cancellationToken) => await database.WriteAsync(
        transaction => transaction.Session.Execute("DELETE FROM leases WHERE name = @name AND owner = @owner", ("@name", name), ("@owner", owner)),
        0,
        cancellationToken);
}
