using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using NpmMirror.Diagnostics;
using NpmMirror.History;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

public sealed partial class SqliteStore
{
    private const string HeadKey = "log:head";

    private const string SelectLog =
        """
        SELECT l.position, p.name, l.generation, l.ordinal, l.type, l.at, l.seen_at, l.upstream_rev, l.payload_sha256, l.hash, l.payload
        FROM log l JOIN packages p ON p.id = l.package
        """;

    /// <inheritdoc/>
    public ValueTask<LogHead> ReadHeadAsync(CancellationToken cancellationToken) => ReadAsync(ReadHead, cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<LogRow> ReadLogAsync(LogPosition after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await ReadHeadAsync(cancellationToken)).Position.Value;
        var sql = $"{SelectLog} WHERE l.position > @after AND l.position <= @head ORDER BY l.position LIMIT {PageRowsMax}";
        await foreach (var row in ReadLogPages(after.Value, (session, last) => session.Query(sql, ("@after", last), ("@head", head)), cancellationToken))
        {
            yield return row;
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<LogRow> ReadHistoryAsync(PackageName package, CancellationToken cancellationToken)
    {
        // A sub-query, not the join's name: only then are the rows found, and in order, by their own index.
        var sql = $"{SelectLog} WHERE l.package = (SELECT id FROM packages WHERE name = @name) AND l.position > @after ORDER BY l.position LIMIT {PageRowsMax}";
        return ReadLogPages(0, (session, last) => session.Query(sql, ("@name", package.Value), ("@after", last)), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<int> NumberEventsAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return ValueTask.FromResult(0);
    }

    /// <inheritdoc/>
    public ValueTask<LogPosition> WaitForLogAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return _watch.WaitAsync(after, timeout, _timeProvider, cancellationToken);
    }

    /// <summary>
    /// The head that was kept beside the log: where rows were deleted from the log's end it still names them, and <c>verify</c> finds that they are missing.
    /// A store that no program of this version has written yet has none, and then the last row is the head.
    /// </summary>
    internal static LogHead ReadHead(SqliteSession session)
    {
        var last = ReadLastRow(session);
        return session.Scalar<string>("SELECT value FROM cursors WHERE key = @key", ("@key", HeadKey)) is { } text && Parse(text) is { } kept && kept.Position >= last.Position ? kept : last;
    }

    /// <summary>Keeps the head, in the transaction that appends to the log.</summary>
    internal static void KeepHead(SqliteSession session, LogHead head) => SetCursor(session, HeadKey, string.Create(CultureInfo.InvariantCulture, $"{head.Position.Value}:{head.Hash.Hex}"));

    private static LogHead ReadLastRow(SqliteSession session)
    {
        using var reader = session.Query("SELECT position, hash FROM log ORDER BY position DESC LIMIT 1");
        return reader.Read() ? new LogHead(new LogPosition(reader.GetInt64(0)), reader.GetDigest(1)) : new LogHead(LogPosition.Zero, ChainHash.Genesis);
    }

    private static LogHead? Parse(string text) =>
        text.Split(':') is [var position, { Length: 2 * SHA256.HashSizeInBytes } hash] && long.TryParse(position, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && hash.All(char.IsAsciiHexDigit)
            ? new LogHead(new LogPosition(value), Digest.FromHex(hash))
            : null;

    private IAsyncEnumerable<LogRow> ReadLogPages(long after, Func<SqliteSession, long, SqliteDataReader> query, CancellationToken cancellationToken) =>
        PagesAsync(after, PageRowsMax, query, ReadLogRow, row => row.Position.Value, row => row.Payload?.Length ?? 0, cancellationToken);

    private static List<LogRow> Number(WriteTransaction transaction, PackageCommit commit)
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

    private static void AppendToLog(WriteTransaction transaction, long packageId, List<LogRow> rows)
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

    private static LogRow ReadLogRow(SqliteDataReader reader) => new()
    {
        Position = new LogPosition(reader.GetInt64(0)),
        Package = reader.GetPackage(1),
        Generation = reader.GetInt64(2),
        Ordinal = reader.GetInt32(3),
        Type = reader.GetString(4),
        At = reader.GetTimeOrNull(5),
        SeenAt = reader.GetTime(6),
        UpstreamRev = reader.GetStringOrNull(7),
        PayloadSha256 = reader.GetDigest(8),
        Hash = reader.GetDigest(9),
        Payload = reader.IsDBNull(10) ? (ReadOnlyMemory<byte>?)null : reader.GetBytes(10),
    };
}
