using System.Runtime.CompilerServices;
using Npgsql;
using NpmMirror.Log;
using NpmMirror.Storage;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>The log, numbered in the transaction that commits: who appends holds the row of the log's end until the commit, so there is one numberer at a time.</summary>
internal sealed class PostgresLog(PostgresDatabase database, PostgresLogWatch watch) : ILogTable
{
    private const string Columns = "l.position, p.name, l.generation, l.ordinal, l.type, l.at, l.seen_at, l.upstream_rev, l.payload_sha256, l.hash, l.payload";

    private const string SelectHead = "select position, hash from log_head";

    /// <summary>Reads the head, and nobody else appends until the transaction ends.</summary>
    internal const string LockHead = $"{SelectHead} for update";

    /// <summary>Stands where a row of the log names no package.</summary>
    private static readonly PackageName NoPackage = PackageName.Parse("(damaged)");

    /// <inheritdoc/>
    public ValueTask<LogHead> ReadHeadAsync(CancellationToken cancellationToken) => database.ReadAsync(ReadHeadAsync, cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<LogRow> ReadLogAsync(LogPosition after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await ReadHeadAsync(cancellationToken)).Position.Value;
        var sql = $"select {Columns} from log l left join packages p on p.id = l.package where l.position > $1 and l.position <= $2 order by l.position limit {PostgresPages.RowsMax}";
        await foreach (var row in ReadPages(after.Value, last => new NpgsqlCommand(sql).With(Param(last), Param(head)), cancellationToken))
        {
            yield return row;
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<LogRow> ReadHistoryAsync(PackageName package, CancellationToken cancellationToken)
    {
        var sql = $"select {Columns} from log l join packages p on p.id = l.package where p.name = $1 and l.position > $2 order by l.position limit {PostgresPages.RowsMax}";
        return ReadPages(0, last => new NpgsqlCommand(sql).With(Param(package.Value), Param(last)), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<int> NumberEventsAsync(CancellationToken cancellationToken)
    {
        database.ThrowIfDisposed();
        return ValueTask.FromResult(0);
    }

    /// <inheritdoc/>
    public ValueTask<LogPosition> WaitForLogAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken) => watch.WaitAsync(after, timeout, cancellationToken);

    /// <summary>The head that is kept beside the log: where rows were deleted from the log's end it still names them, and <c>verify</c> finds that they are missing.</summary>
    internal static async ValueTask<LogHead> ReadHeadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(SelectHead, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await ReadHeadAsync(reader, cancellationToken);
    }

    /// <summary>The same, from an answer.</summary>
    internal static async ValueTask<LogHead> ReadHeadAsync(NpgsqlDataReader reader, CancellationToken cancellationToken) => await reader.ReadAsync(cancellationToken)
        ? new LogHead(new LogPosition(reader.GetInt64(0)), reader.GetDigest(1))
        : throw new MirrorException(MirrorFault.StoreUnavailable, "The table log_head of the store is empty; it was changed by another program: restore a backup.");

    /// <summary>Writes rows at the log's end, moves it, and wakes those who wait in other processes.</summary>
    internal static void Append(NpgsqlBatch batch, List<LogRow> rows, List<long> packageIds, LogHead end)
    {
        batch.Add(
            """
            insert into log (position, package, generation, ordinal, type, at, seen_at, upstream_rev, payload_sha256, hash, payload)
            select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            """,
            Params(rows.Select(row => row.Position.Value)),
            Params(packageIds),
            Params(rows.Select(row => row.Generation)),
            Params(rows.Select(row => row.Ordinal)),
            Params(rows.Select(row => row.Type)),
            Params(rows.Select(row => row.At)),
            Params(rows.Select(row => (DateTimeOffset?)row.SeenAt)),
            Params(rows.Select(row => row.UpstreamRev)),
            Params(rows.Select(row => row.PayloadSha256.Bytes.ToArray())),
            Params(rows.Select(row => row.Hash.Bytes.ToArray())),
            Params(rows.Select(row => row.Payload?.ToArrayOrSelf())));
        batch.Add("update log_head set position = $1, hash = $2", Param(end.Position.Value), Param(end.Hash));
        batch.Add("select pg_notify(current_schema, $1)", Param(end.Position.ToString()));
    }

    private IAsyncEnumerable<LogRow> ReadPages(long after, Func<long, NpgsqlCommand> query, CancellationToken cancellationToken) =>
        database.PagesAsync<LogRow, long>(after, PostgresPages.RowsMax, query, TryRead, reader => reader.GetInt64(0), row => row.Payload?.Length ?? 0, cancellationToken);

    // Whatever is in it, a row is told of: positions are dense, and a reader that missed one would look for it for ever.
    private static bool TryRead(NpgsqlDataReader reader, out LogRow row)
    {
        var isKnown = PackageName.TryParse(reader.GetTextOrNull(1), out var package);
        row = new LogRow
        {
            Position = new LogPosition(reader.GetInt64(0)),
            Package = isKnown ? package : NoPackage,
            Generation = reader.GetInt64(2),
            Ordinal = reader.GetInt32(3),
            Type = reader.GetText(4),
            At = reader.GetTimeOrNull(5),
            SeenAt = reader.GetTime(6),
            UpstreamRev = reader.GetTextOrNull(7),
            PayloadSha256 = reader.GetDigest(8),
            Hash = reader.GetDigest(9),
            Payload = !isKnown || reader.IsDBNull(10) ? (ReadOnlyMemory<byte>?)null : reader.GetBytes(10),
            Damage = isKnown ? null : new StoreDamage("log", reader.GetInt64(0).ToString(System.Globalization.CultureInfo.InvariantCulture), "package", "nothing").Problem,
        };
        return true;
    }
}
