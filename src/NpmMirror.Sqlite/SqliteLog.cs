using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using NpmMirror.Diagnostics;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>The log, numbered in the transaction that commits.</summary>
internal sealed class SqliteLog(SqliteDatabase database) : ILogTable
{
    /// <summary>The head's place among the notes; no note of the mirror.</summary>
    internal const string HeadKey = "log:head";

    /// <summary>Stands where a row of the log names no package.</summary>
    private static readonly PackageName NoPackage = PackageName.Parse("(damaged)");

    private const string SelectLog =
        """
        SELECT l.position, p.name, l.generation, l.ordinal, l.type, l.at, l.seen_at, l.upstream_rev, l.payload_sha256, l.hash, l.payload
        FROM log l LEFT JOIN packages p ON p.id = l.package
        """;

    /// <inheritdoc/>
    public ValueTask<LogHead> ReadHeadAsync(CancellationToken cancellationToken) => database.ReadAsync(ReadHead, cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<LogRow> ReadLogAsync(LogPosition after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await ReadHeadAsync(cancellationToken)).Position.Value;
        var sql = $"{SelectLog} WHERE l.position > @after AND l.position <= @head ORDER BY l.position LIMIT {SqlitePages.RowsMax}";
        await foreach (var row in ReadLogPages(after.Value, (session, last) => session.Query(sql, ("@after", last), ("@head", head)), cancellationToken))
        {
            yield return row;
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<LogRow> ReadHistoryAsync(PackageName package, CancellationToken cancellationToken)
    {
        // A sub-query, not the join's name: only then are the rows found, and in order, by their own index.
        var sql = $"{SelectLog} WHERE l.package = (SELECT id FROM packages WHERE name = @name) AND l.position > @after ORDER BY l.position LIMIT {SqlitePages.RowsMax}";
        return ReadLogPages(0, (session, last) => session.Query(sql, ("@name", package.Value), ("@after", last)), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<int> NumberEventsAsync(CancellationToken cancellationToken)
    {
        database.ThrowIfDisposed();
        return ValueTask.FromResult(0);
    }

    /// <inheritdoc/>
    public ValueTask<LogPosition> WaitForLogAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken)
    {
        return database.WaitForLogAsync(after, timeout, cancellationToken);
    }

    /// <summary>
    /// The head that was kept beside the log: where rows were deleted from the log's end it still names them, and <c>verify</c> finds that they are missing.
    /// A store that no program of this version has written yet has none, and then the last row is the head.
    /// </summary>
    internal static LogHead ReadHead(SqliteSession session)
    {
        var last = ReadLastRow(session);
        return session.Scalar<string>("SELECT value FROM notes WHERE key = @key", ("@key", HeadKey)) is { } text && Parse(text) is { } kept && kept.Position >= last.Position ? kept : last;
    }

    /// <summary>Keeps the head, in the transaction that appends to the log.</summary>
    internal static void KeepHead(SqliteSession session, LogHead head) => SqliteNotes.Set(session, HeadKey, string.Create(CultureInfo.InvariantCulture, $"{head.Position.Value}:{head.Hash.Hex}"));

    private static LogHead ReadLastRow(SqliteSession session)
    {
        using var reader = session.Query($"SELECT position, hash FROM log WHERE position <= {CheckedRow.CountMax} ORDER BY position DESC LIMIT 1");
        return reader.Read() ? new LogHead(new LogPosition(reader.GetInt64(0)), new CheckedRow(reader, "log").Digest(1, SHA256.HashSizeInBytes)) : new LogHead(LogPosition.Zero, ChainHash.Genesis);
    }

    private static LogHead? Parse(string text) =>
        text.Split(':') is [var position, { Length: 2 * SHA256.HashSizeInBytes } hash] && long.TryParse(position, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && hash.All(char.IsAsciiHexDigit)
            ? new LogHead(new LogPosition(value), Digest.FromHex(hash))
            : null;

    private IAsyncEnumerable<LogRow> ReadLogPages(long after, Func<SqliteSession, long, SqliteDataReader> query, CancellationToken cancellationToken) =>
        database.PagesAsync<LogRow, long>(after, SqlitePages.RowsMax, query, TryReadLogRow, reader => reader.GetInt64(0), row => row.Payload?.Length ?? 0, cancellationToken);

    /// <summary>The commit's events as rows of the log, numbered.</summary>
    internal static List<LogRow> Number(WriteTransaction transaction, PackageCommit commit)
    {
        var rows = new List<LogRow>(commit.Events.Count);
        foreach (var pending in commit.Events)
        {
            var row = ChainHash.Append(transaction.Head.Position, transaction.Head.Hash, commit.Name, commit.ExpectedGeneration + 1, pending);
            transaction.Head = new LogHead(row.Position, row.Hash);
            rows.Add(row);
        }

        return rows;
    }

    /// <summary>A package that claims a position before it was given would keep all others from being written. It is damaged then.</summary>
    internal static void FreePositions(SqliteSession session, long id, List<LogRow> rows)
    {
        if (rows.Count > 0)
        {
            // In this order: SQLite enters the index by the first bound that it reads.
            session.Execute("UPDATE packages SET last_position = -1 WHERE last_position >= @first AND last_position > 0 AND id <> @id", ("@first", rows[0].Position.Value), ("@id", id));
        }
    }

    /// <summary>Writes rows at the log's end.</summary>
    internal static void Append(WriteTransaction transaction, long packageId, List<LogRow> rows)
    {
        for (var i = 0; i < rows.Count; i++)
        {
            if (i > 0)
            {
                CrashPoint.Hit(CrashPoint.WhileNumberingEvents);
            }

            var row = rows[i];
            transaction.Session.Execute(
                """
                INSERT INTO log (position, package, generation, ordinal, type, at, seen_at, upstream_rev, payload_sha256, hash, payload)
                VALUES (@position, @package, @generation, @ordinal, @type, @at, @seenAt, @upstreamRev, @payloadSha256, @hash, @payload)
                """,
                ("@position", row.Position.Value),
                ("@package", packageId),
                ("@generation", row.Generation),
                ("@ordinal", row.Ordinal),
                ("@type", row.Type),
                ("@at", row.At.ToMs()),
                ("@seenAt", row.SeenAt.ToMs()),
                ("@upstreamRev", row.UpstreamRev),
                ("@payloadSha256", row.PayloadSha256.Bytes.ToArray()),
                ("@hash", row.Hash.Bytes.ToArray()),
                ("@payload", row.Payload?.ToArrayOrSelf()));
        }
    }

    /// <summary>Reads a row, damaged or not: positions are dense, and a reader that missed one would look for it for ever.</summary>
    private static bool TryReadLogRow(SqliteDataReader reader, out LogRow row)
    {
        var values = new CheckedRow(reader, "log");
        row = new LogRow
        {
            Position = new LogPosition(reader.GetInt64(0)),
            Package = values.Package(1) ?? NoPackage,
            Generation = values.Number(2),
            Ordinal = values.Integer(3),
            Type = values.Text(4),
            At = values.TimeOrNull(5),
            SeenAt = values.Time(6),
            UpstreamRev = values.TextOrNull(7),
            PayloadSha256 = values.Digest(8, SHA256.HashSizeInBytes),
            Hash = values.Digest(9, SHA256.HashSizeInBytes),
            Payload = reader.IsDBNull(10) ? (ReadOnlyMemory<byte>?)null : values.Bytes(10),
        };

        // A payload of an unknown event is told as a purged one.
        row = values.Damage is { } damage ? row with { Payload = null, Damage = damage.Problem } : row;
        return true;
    }
}
