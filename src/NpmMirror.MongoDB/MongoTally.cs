using MongoDB.Bson;
using MongoDB.Driver;

namespace NpmMirror.MongoDB;

/// <summary>
/// Counts without a pass over all rows. A write marks its row as uncounted; counting takes such rows page by page and adds the differences to one sum. The sum names
/// the rows of its last page until they are told, so that each write is counted once, whatever process dies.
/// </summary>
/// <param name="session">The connection.</param>
/// <param name="collection">The rows.</param>
/// <param name="names">The names of the numbers.</param>
/// <param name="measure">The numbers of a row as it is.</param>
internal sealed class MongoTally(MongoSession session, string collection, IReadOnlyList<string> names, Func<BsonDocument, IReadOnlyList<long>> measure)
{
    private const int PageMax = 500;
    private const int TriesMax = 1000;
    private readonly string _id = $"tally/{collection}";

    /// <summary>The sums after all uncounted rows were counted; where nothing can be written now, as they were then.</summary>
    internal async ValueTask<IReadOnlyList<long>> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await SettleAsync(cancellationToken);
        }
        catch (MirrorException e) when (e.Fault is MirrorFault.StoreReadOnly or MirrorFault.Configuration)
        {
            return Sums(await FindAsync(cancellationToken));
        }
    }

    /// <summary>Counts all uncounted rows. Returns the sums, in the order of the names.</summary>
    internal async ValueTask<IReadOnlyList<long>> SettleAsync(CancellationToken cancellationToken)
    {
        for (var tries = 0; tries < TriesMax; tries++)
        {
            var sum = await FindAsync(cancellationToken);
            await FinishAsync(sum, cancellationToken);
            var rows = await session.RunAsync(collection, (rows, token) => rows.Find(new BsonDocument("uncounted", true)).Project(MongoTallies.Fields).Limit(PageMax).ToListAsync(token), cancellationToken);
            if (rows.Count == 0)
            {
                return Sums(sum);
            }

            await AddAsync(sum, rows, cancellationToken);
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"The counts at {session.Location} change faster than they can be read; ask again.", isTransient: true);
    }

    private async ValueTask<BsonDocument> FindAsync(CancellationToken cancellationToken) =>
        await session.RunAsync(MongoSchema.State, (state, token) => state.Find(new BsonDocument("_id", _id)).FirstOrDefaultAsync(token)!, cancellationToken)
        ?? new BsonDocument { ["_id"] = _id, ["round"] = BsonValues.Number(0) };

    private List<long> Sums(BsonDocument sum) => [.. names.Select(name => sum.Number(name) ?? 0)];

    private async ValueTask AddAsync(BsonDocument sum, List<BsonDocument> rows, CancellationToken cancellationToken)
    {
        var round = sum.Number("round") ?? 0;
        var next = new BsonDocument { ["_id"] = _id, ["round"] = round + 1 };
        foreach (var (i, name) in names.Index())
        {
            next[name] = (sum.Number(name) ?? 0) + rows.Sum(row => measure(row)[i] - (row.Part("counted")?.Number(name) ?? 0));
        }

        next["unfinished"] = new BsonArray(rows.Select(row => new BsonDocument
        {
            ["row"] = row["_id"],
            ["commit"] = row.GetValue("commit", ""),
            ["counted"] = new BsonDocument(names.Zip(measure(row), (name, number) => new BsonElement(name, number))),
            ["gone"] = row.Flag("gone"),
        }));
        try
        {
            var isMoved = await session.RunAsync(
                MongoSchema.State,
                async (state, token) =>
                {
                    if (round == 0)
                    {
                        await state.InsertOneAsync(next, null, token);
                        return true;
                    }

                    var result = await state.ReplaceOneAsync(new BsonDocument { ["_id"] = _id, ["round"] = round, ["unfinished"] = new BsonArray() }, next, (ReplaceOptions?)null, token);
                    return result.MatchedCount == 1;
                },
                cancellationToken);
            if (isMoved)
            {
                await FinishAsync(next, cancellationToken);
            }
        }
        catch (MongoException e) when (MongoFaults.IsDuplicate(e))
        {
            // Another process began.
        }
    }

    // Rows are told in order: first what was counted of them, then that nothing is left to count, if no other write came.
    private async ValueTask FinishAsync(BsonDocument sum, CancellationToken cancellationToken)
    {
        var unfinished = sum.Parts("unfinished");
        if (unfinished.Count == 0)
        {
            return;
        }

        var round = sum.Number("round") ?? 0;
        var writes = new List<WriteModel<BsonDocument>>();
        foreach (var told in unfinished)
        {
            writes.Add(new UpdateOneModel<BsonDocument>(
                new BsonDocument { ["_id"] = told["row"], ["tallied"] = new BsonDocument("$lt", round) },
                new BsonDocument("$set", new BsonDocument { ["tallied"] = round, ["counted"] = told["counted"] })));
            var same = new BsonDocument { ["_id"] = told["row"], ["commit"] = told["commit"] };
            writes.Add(told.Flag("gone") ? new DeleteOneModel<BsonDocument>(same.Set("gone", true)) : new UpdateOneModel<BsonDocument>(same, new BsonDocument("$unset", new BsonDocument("uncounted", ""))));
        }

        await session.RunAsync(collection, (rows, token) => rows.BulkWriteAsync(writes, new BulkWriteOptions { IsOrdered = true }, token), cancellationToken);
        var finished = new BsonDocument(sum).Set("unfinished", new BsonArray());
        await session.RunAsync(MongoSchema.State, (state, token) => state.ReplaceOneAsync(new BsonDocument { ["_id"] = _id, ["round"] = round }, finished, (ReplaceOptions?)null, token), cancellationToken);
    }
}

/// <summary>The two tallies of a store.</summary>
internal static class MongoTallies
{
    /// <summary>What counting reads of a row.</summary>
    internal static readonly BsonDocument Fields = new() { ["removed"] = 1, ["document.rawSize"] = 1, ["state"] = 1, ["size"] = 1, ["gone"] = 1, ["commit"] = 1, ["counted"] = 1 };

    internal static MongoTally OfPackages(MongoSession session) => new(
        session,
        PackageDocument.Collection,
        ["packages", "removed", "rawBytes"],
        row => [row.Flag("removed") ? 0 : 1, row.Flag("removed") ? 1 : 0, row.Part("document")?.Number("rawSize") ?? 0]);

    internal static MongoTally OfTarballs(MongoSession session) => new(
        session,
        TarballDocument.Collection,
        ["tarballs", "bytes"],
        row => TarballDocument.IsHeld(row) ? [1, row.Number("size") ?? 0] : [0, 0]);
}
