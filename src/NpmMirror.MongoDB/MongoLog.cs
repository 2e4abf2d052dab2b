using System.Runtime.CompilerServices;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>The log: a document a row, and a head that moves on when everything before it is in its place.</summary>
internal sealed class MongoLog : ILogTable, IAsyncDisposable
{
    private const int PageMax = 256;
    private const int BatchMax = 500;
    private readonly MongoSession _session;
    private readonly Chunks _chunks;
    private readonly LogWatch _watch;
    private readonly MongoNumbering _numbering;

    internal MongoLog(MongoSession session, Chunks chunks, MongoVersions versions, MongoTally tally)
    {
        (_session, _chunks) = (session, chunks);
        _watch = new LogWatch(async cancellationToken => (await ReadHeadAsync(cancellationToken)).Position, typeof(MongoStore));
        _numbering = new MongoNumbering(session, chunks, this, new MongoSettling(session, chunks, versions), tally);
    }

    internal LogSignal Signal => _watch.Signal;

    internal MongoNumbering Numbering => _numbering;

    /// <inheritdoc/>
    public async ValueTask<LogHead> ReadHeadAsync(CancellationToken cancellationToken) => NumberedHead.Read(await _session.RunAsync(
        MongoSchema.State,
        (state, token) => state.Find(new BsonDocument("_id", NumberedHead.Id)).Project(new BsonDocument("unfinished", 0)).FirstOrDefaultAsync(token)!,
        cancellationToken)).Shown;

    /// <inheritdoc/>
    public async IAsyncEnumerable<LogRow> ReadLogAsync(LogPosition after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await ReadHeadAsync(cancellationToken)).Position.Value;
        for (var last = Math.Max(after.Value, 0); last < head;)
        {
            var filter = new BsonDocument("_id", new BsonDocument { ["$gt"] = last, ["$lte"] = Math.Min(head, last + PageMax) });
            var page = (await ReadAsync(filter, PageMax, cancellationToken)).ToDictionary(PositionOf);
            for (var end = Math.Min(head, last + PageMax); last < end;)
            {
                last++;
                yield return await ReadRowAsync(last, page.GetValueOrDefault(last), cancellationToken);
            }
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<LogRow> ReadHistoryAsync(PackageName package, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var head = (await ReadHeadAsync(cancellationToken)).Position.Value;
        for (var last = 0L; ;)
        {
            var filter = new BsonDocument { ["package"] = package.Value, ["_id"] = new BsonDocument { ["$gt"] = last, ["$lte"] = head } };
            var page = await ReadAsync(filter, PageMax, cancellationToken);
            foreach (var stored in page)
            {
                yield return await ReadRowAsync(PositionOf(stored), stored, cancellationToken);
            }

            if (page.Count < PageMax)
            {
                yield break;
            }

            last = PositionOf(page[^1]);
        }
    }

    /// <inheritdoc/>
    public ValueTask<int> NumberEventsAsync(CancellationToken cancellationToken) => _numbering.NumberAllAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<LogPosition> WaitForLogAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken) => _watch.WaitAsync(after, timeout, _session.Time, cancellationToken);

    /// <summary>Writes rows whose positions are decided.</summary>
    internal async ValueTask WriteAsync(IReadOnlyList<LogRow> rows, CancellationToken cancellationToken)
    {
        foreach (var batch in rows.Chunk(BatchMax))
        {
            var documents = new List<BsonDocument>(batch.Length);
            foreach (var row in batch)
            {
                documents.Add(LogDocument.Write(row, row.Payload is { } payload ? await _chunks.WriteAsync($"log/{row.Position.Value}", 0, payload, cancellationToken) : null));
            }

            try
            {
                await _session.RunAsync(LogDocument.Collection, async (log, token) => { await log.InsertManyAsync(documents, new InsertManyOptions { IsOrdered = false }, token); return true; }, cancellationToken);
            }
            catch (MongoException e) when (MongoFaults.IsDuplicate(e))
            {
                // Another process finishes the same step, or an import that was given up left other rows beyond the end.
                List<WriteModel<BsonDocument>> others = [.. documents.Select(document => new ReplaceOneModel<BsonDocument>(new BsonDocument { ["_id"] = document["_id"], ["hash"] = new BsonDocument("$ne", document["hash"]) }, document))];
                await _session.RunAsync(LogDocument.Collection, (log, token) => log.BulkWriteAsync(others, new BulkWriteOptions { IsOrdered = false }, token), cancellationToken);
            }
        }
    }

    /// <summary>Drops the payload of a row of this package; returns its length.</summary>
    internal async ValueTask<long> PurgeAsync(PackageName package, LogPosition position, CancellationToken cancellationToken)
    {
        var filter = new BsonDocument { ["_id"] = position.Value, ["package"] = package.Value };
        var before = await _session.RunAsync(LogDocument.Collection, (log, token) => log.FindOneAndUpdateAsync(filter, new BsonDocument("$unset", new BsonDocument("payload", "")), null, token)!, cancellationToken);
        var payload = before?.Part("payload");
        await _chunks.DropAsync([payload], cancellationToken);
        return payload?.Number("size") ?? 0;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _watch.DisposeAsync();
        await _numbering.DisposeAsync();
    }

    private static long PositionOf(BsonDocument stored) => stored.Number("_id") ?? 0;

    private ValueTask<List<BsonDocument>> ReadAsync(BsonDocument filter, int max, CancellationToken cancellationToken) =>
        _session.RunAsync(LogDocument.Collection, (log, token) => log.Find(filter).Sort(new BsonDocument("_id", 1)).Limit(max).ToListAsync(token), cancellationToken);

    private async ValueTask<LogRow> ReadRowAsync(long position, BsonDocument? stored, CancellationToken cancellationToken) =>
        LogDocument.Read(new LogPosition(position), stored, await _chunks.ReadAsync(stored?.Part("payload"), cancellationToken));
}
