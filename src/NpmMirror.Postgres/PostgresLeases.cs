using Npgsql;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>Leases, by the server's clock: nodes whose clocks differ agree on who holds one.</summary>
internal sealed class PostgresLeases(PostgresDatabase database) : ILeaseTable
{
    /// <inheritdoc/>
    public async ValueTask<bool> TryHoldLeaseAsync(string name, string owner, TimeSpan duration, CancellationToken cancellationToken)
    {
        StoredMoments.EndOfLease(database.Now, duration);
        return await database.WriteAsync(
            async (connection, token) =>
            {
                const string Take =
                    """
                    with clock as materialized (select coalesce($4, clock_timestamp()) as now)
                    insert into leases as held (name, owner, until) select $1, $2, now + $3 from clock
                    on conflict (name) do update set owner = excluded.owner, until = excluded.until
                    where held.owner = excluded.owner or held.until <= excluded.until - $3 or held.until > excluded.until - $3 + $5
                    """;
                await using var command = new NpgsqlCommand(Take, connection).With(Param(name), Param(owner), Param(duration), Param(database.LeaseNow), Param(StoredMoments.LongestLease));
                return await command.ExecuteNonQueryAsync(token) > 0;
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask ReleaseLeaseAsync(string name, string owner, CancellationToken cancellationToken) => await database.WriteAsync(
        async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("delete from leases where name = $1 and owner = $2", connection).With(Param(name), Param(owner));
            return await command.ExecuteNonQueryAsync(token);
        },
        cancellationToken);
}
