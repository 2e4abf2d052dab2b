using System.Diagnostics.CodeAnalysis;
using Npgsql;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>What is known of tarballs, and how often they were fetched.</summary>
internal sealed class PostgresTarballs(PostgresDatabase database) : ITarballTable
{
    private const string Columns = "package, file, version, state, sha512, size, upstream_url, verified_at, last_served_at, problem";
    private const int RowBytes = 250;
    private const int ForgetBatch = 5000;

    /// <inheritdoc/>
    public ValueTask<TarballRow?> FindTarballAsync(PackageName package, string file, CancellationToken cancellationToken) =>
        database.ReadAsync((connection, token) => FindAsync(connection, package, file, "", token), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> PutTarballAsync(TarballRow row, CancellationToken cancellationToken) => database.WriteAsync(
        async (connection, token) =>
        {
            // A held row takes the same bytes only.
            const string Put =
                $"""
                insert into tarballs as stored ({Columns}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                on conflict (package, file) do update set version = excluded.version, state = excluded.state, sha512 = excluded.sha512, size = excluded.size,
                    upstream_url = excluded.upstream_url, verified_at = excluded.verified_at, problem = excluded.problem,
                    last_served_at = greatest(stored.last_served_at, excluded.last_served_at)
                where stored.state <> $11 or stored.sha512 = excluded.sha512
                """;
            await using var command = new NpgsqlCommand(Put, connection).With(
                Param(row.Package.Value),
                Param(row.File),
                Param(row.Version),
                Param((int)row.State),
                Param(row.Sha512),
                Param(row.SizeBytes),
                Param(row.UpstreamUrl),
                Param(row.VerifiedAt),
                Param(row.LastServedAt),
                Param(row.Problem),
                Param((int)TarballState.Held));
            return await command.ExecuteNonQueryAsync(token) > 0;
        },
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask StampServedAsync(IReadOnlyList<TarballServed> served, CancellationToken cancellationToken) => await database.WriteAsync(
        async (connection, token) =>
        {
            // Rows are locked in one order in all processes: none waits for one who waits for it.
            const string Stamp =
                """
                with stamp as (select package, file, max(at) as at from unnest($1, $2, $3) as one (package, file, at) group by package, file),
                    locked as materialized (select t.package, t.file, s.at from tarballs t join stamp s using (package, file) order by t.package, t.file for update of t)
                update tarballs t set last_served_at = greatest(t.last_served_at, l.at) from locked l where t.package = l.package and t.file = l.file
                """;
            await using var command = new NpgsqlCommand(Stamp, connection).With(
                Params(served.Select(stamp => stamp.Package.Value)), Params(served.Select(stamp => stamp.File)), Params(served.Select(stamp => (DateTimeOffset?)stamp.At)));
            return await command.ExecuteNonQueryAsync(token);
        },
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask StampVerifiedAsync(IReadOnlyList<TarballVerified> verified, CancellationToken cancellationToken) => await database.WriteUnsyncedAsync(
        async (connection, token) =>
        {
            const string Stamp = "update tarballs set verified_at = case when $5::timestamptz is not null then greatest(verified_at, $5) end where package = $1 and file = $2 and state = $3 and sha512 = $4";
            await using var batch = new NpgsqlBatch(connection);
            foreach (var (package, file, sha512, at) in verified.OrderBy(one => one.Package).ThenBy(one => one.File, Utf8Order.Instance))
            {
                batch.Add(Stamp, Param(package.Value), Param(file), Param((int)TarballState.Held), Param(sha512), Param(at));
            }

            return batch.BatchCommands.Count == 0 ? 0 : await batch.ExecuteNonQueryAsync(token);
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> ForgetTarballAsync(TarballRow row, CancellationToken cancellationToken) => database.WriteAsync(
        async (connection, token) =>
        {
            if (row.State != TarballState.Held || await FindAsync(connection, row.Package, row.File, "for update", token) != row)
            {
                return false;
            }

            await using var command = new NpgsqlCommand("delete from tarballs where package = $1 and file = $2", connection).With(Param(row.Package.Value), Param(row.File));
            return await command.ExecuteNonQueryAsync(token) > 0;
        },
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> IsReferencedAsync(Digest sha512, CancellationToken cancellationToken) => database.ReadAsync(
        async (connection, token) =>
        {
            await using var command = new NpgsqlCommand("select exists (select from tarballs where sha512 = $1)", connection).With(Param(sha512));
            return await command.ExecuteScalarAsync(token) is true;
        },
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<TarballRow> ListTarballsAsync(PackageName? package, CancellationToken cancellationToken)
    {
        var range = package is null ? "(package, file) > ($1, $2)" : "package = $1 and file > $2";
        var sql = $"select {Columns} from tarballs where {range} order by package, file limit {PostgresPages.RowsMax}";
        return database.PagesAsync<TarballRow, (string Package, string File)>(
            (package?.Value ?? "", ""),
            PostgresPages.RowsMax,
            last => new NpgsqlCommand(sql).With(Param(last.Package), Param(last.File)),
            TryRead,
            reader => (reader.GetText(0), reader.GetText(1)),
            _ => RowBytes,
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask RecordAccessAsync(IReadOnlyList<TarballAccess> accesses, CancellationToken cancellationToken) => await database.WriteAsync(
        async (connection, token) =>
        {
            const string Add =
                """
                insert into access (package, file, client, day, count)
                select package, file, client, date '0001-01-01' + day, sum(count) from unnest($1, $2, $3, $4, $5) as one (package, file, client, day, count) group by 1, 2, 3, 4 order by 1, 2, 3, 4
                on conflict (package, file, client, day) do update set count = access.count + excluded.count
                """;
            await using var command = new NpgsqlCommand(Add, connection).With(
                Params(accesses.Select(access => access.Package.Value)),
                Params(accesses.Select(access => access.File)),
                Params(accesses.Select(access => access.Client)),
                Params(accesses.Select(access => access.Day.DayNumber)),
                Params(accesses.Select(access => access.Count)));
            return await command.ExecuteNonQueryAsync(token);
        },
        cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<TarballAccess> ListAccessAsync(PackageName package, string? file, CancellationToken cancellationToken)
    {
        var only = file is null ? "" : "and file = $5";
        var sql =
            $"""
            select file, client, day - date '0001-01-01', count from access
            where package = $1 {only} and (file, client, day) > ($2, $3, date '0001-01-01' + $4) order by file, client, day limit {PostgresPages.RowsMax}
            """;
        return database.PagesAsync<TarballAccess, (string File, string Client, int Day)>(
            ("", "", -1),
            PostgresPages.RowsMax,
            last => new NpgsqlCommand(sql).With([Param(package.Value), Param(last.File), Param(last.Client), Param(last.Day), .. file is null ? (NpgsqlParameter[])[] : [Param(file)]]),
            (NpgsqlDataReader reader, out TarballAccess access) =>
            {
                var day = reader.GetInt32(2);
                var isDay = day >= 0 && day <= DateOnly.MaxValue.DayNumber;
                access = new TarballAccess(package, reader.GetText(0), reader.GetText(1), DateOnly.FromDayNumber(isDay ? day : 0), reader.GetInt64(3));
                return isDay;
            },
            reader => (reader.GetText(0), reader.GetText(1), reader.GetInt32(2)),
            _ => RowBytes,
            cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<int> ForgetAccessAsync(DateOnly day, CancellationToken cancellationToken)
    {
        // In batches: none of them takes long.
        int all = 0, batch;
        do
        {
            batch = await database.WriteAsync(
                async (connection, token) =>
                {
                    const string Forget = "delete from access where ctid = any(array(select ctid from access where day < date '0001-01-01' + $1 limit $2))";
                    await using var command = new NpgsqlCommand(Forget, connection).With(Param(day.DayNumber), Param(ForgetBatch));
                    return await command.ExecuteNonQueryAsync(token);
                },
                cancellationToken);
            all += batch;
        }
        while (batch == ForgetBatch);

        return all;
    }

    private static async ValueTask<TarballRow?> FindAsync(NpgsqlConnection connection, PackageName package, string file, string locked, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"select {Columns} from tarballs where package = $1 and file = $2 {locked}", connection).With(Param(package.Value), Param(file));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) && TryRead(reader, out var row) ? row : null;
    }

    /// <summary>Reads a row; false where its package's name is none.</summary>
    private static bool TryRead(NpgsqlDataReader reader, [MaybeNullWhen(false)] out TarballRow row)
    {
        row = null;
        if (!PackageName.TryParse(reader.GetText(0), out var package))
        {
            return false;
        }

        row = new TarballRow
        {
            Package = package,
            File = reader.GetText(1),
            Version = reader.GetText(2),
            State = (TarballState)reader.GetInt16(3),
            Sha512 = reader.GetDigest(4),
            SizeBytes = reader.GetInt64(5),
            UpstreamUrl = reader.GetTextOrNull(6),
            VerifiedAt = reader.GetTimeOrNull(7),
            LastServedAt = reader.GetTimeOrNull(8),
            Problem = reader.GetTextOrNull(9),
        };
        return true;
    }
}
