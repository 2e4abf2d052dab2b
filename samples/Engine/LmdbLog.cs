using NpmMirror;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace Engine;

/// <summary>The log: numbered in the transaction that commits. Payloads have a table of their own, so that a purge takes them away.</summary>
internal sealed class LmdbLog(LmdbSession session) : ILogTable
{
    private static readonly byte[] HeadKey = "head"u8.ToArray();

    public ValueTask<LogHead> ReadHeadAsync(CancellationToken cancellationToken) => session.ReadAsync(ReadHead, cancellationToken);

    public async IAsyncEnumerable<LogRow> ReadLogAsync(LogPosition after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await ReadHeadAsync(cancellationToken)).Position;
        var rows = session.ListAsync(
            Keys.Of(Math.Max(after.Value, 0) + 1),
            (transaction, from) => transaction.From(Table.Log, from).Select(one => (Keys.After(one.Key), RowOf(transaction, one.Key, one.Value))).TakeWhile(one => one.Item2.Position <= head),
            cancellationToken);
        await foreach (var row in rows)
        {
            yield return row;
        }
    }

    public IAsyncEnumerable<LogRow> ReadHistoryAsync(PackageName package, CancellationToken cancellationToken)
    {
        var prefix = Keys.OfAll(package.Value);
        return session.ListAsync(
            prefix,
            (transaction, from) => transaction.From(Table.History, from, prefix).Select(one => (Keys.After(one.Key), RowOf(transaction, one.Value, transaction.Find(Table.Log, one.Value)!))),
            cancellationToken);
    }

    public ValueTask<int> NumberEventsAsync(CancellationToken cancellationToken)
    {
        session.ThrowIfEnded(cancellationToken);
        return ValueTask.FromResult(0);
    }

    public ValueTask<LogPosition> WaitForLogAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken) => session.WaitForLogAsync(after, timeout, cancellationToken);

    internal static LogHead ReadHead(LmdbTransaction transaction) =>
        transaction.Find(Table.Meta, HeadKey) is { } head ? LmdbTransaction.Decode<LogHead>(head) : new LogHead(LogPosition.Zero, ChainHash.Genesis);

    /// <summary>Gives a commit's events their positions. Null if it has none.</summary>
    internal static LogPosition? Append(LmdbTransaction transaction, PackageCommit commit)
    {
        var head = ReadHead(transaction);
        foreach (var pending in commit.Events)
        {
            var row = ChainHash.Append(head.Position, head.Hash, commit.Name, commit.ExpectedGeneration + 1, pending);
            var key = Keys.Of(row.Position.Value);
            transaction.PutRow(Table.Log, key, row with { Payload = null });
            transaction.Put(Table.Payloads, key, pending.Payload.Span);
            transaction.Put(Table.History, [.. Keys.OfAll(commit.Name.Value), .. key], key);
            head = new LogHead(row.Position, row.Hash);
        }

        if (commit.Events.Count == 0)
        {
            return null;
        }

        transaction.Put(Table.Meta, HeadKey, System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(head, LmdbJson.Options));
        return head.Position;
    }

    /// <summary>Drops payloads of a package's rows; returns their bytes.</summary>
    internal static long Purge(LmdbTransaction transaction, PackagePurge purge)
    {
        var bytes = 0L;
        foreach (var key in purge.Payloads.Select(position => Keys.Of(position.Value)))
        {
            if (transaction.FindRow<LogRow>(Table.Log, key)?.Package == purge.Package && transaction.Find(Table.Payloads, key) is { } payload)
            {
                bytes += payload.Length;
                transaction.Remove(Table.Payloads, key);
            }
        }

        return bytes;
    }

    private static LogRow RowOf(LmdbTransaction transaction, byte[] key, byte[] value) =>
        LmdbTransaction.Decode<LogRow>(value) with { Payload = transaction.Find(Table.Payloads, key) is { } payload ? (ReadOnlyMemory<byte>?)payload : null };
}
