using System.Runtime.CompilerServices;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Diagnostics;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>The queue: a document an item, changed if it is still what was read.</summary>
internal sealed class MongoQueue(MongoSession session, MongoNotes notes) : IQueueTable
{
    private const int EnqueueMax = 500;
    private const int LeasedMax = 100;
    private const int AtOnce = 16;

    // Looks in which other takers were faster with each item.
    private const int VainMax = 20;
    private const int TriesMax = 1000;

    /// <inheritdoc/>
    public async ValueTask EnqueueAsync(IReadOnlyList<QueueItem> items, QueueCursor? cursor, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        for (var start = 0; start < items.Count; start += EnqueueMax)
        {
            var added = items.Skip(start).Take(EnqueueMax).GroupBy(item => item.Name).ToDictionary(group => group.Key, group => group.ToList());
            await AddAsync(added, cancellationToken);
        }

        if (cursor is not null)
        {
            CrashPoint.Hit(CrashPoint.AfterEnqueueBeforeCursor);
            await notes.SetNoteAsync(cursor.Key, cursor.Value, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<QueueLease>> TakeAsync(int max, TimeSpan duration, CancellationToken cancellationToken)
    {
        var taken = new List<QueueLease>();
        for (var vain = 0; taken.Count < max && vain < VainMax;)
        {
            var (now, leaseNow) = (session.Now, await session.ReadLeaseClockAsync(cancellationToken));
            var until = StoredMoments.EndOfLease(leaseNow, duration);

            // A moment too far ahead to be believed was written by a wrong clock.
            var due = Either("dueAt", now, now + StoredMoments.LongestPause);
            var free = Either("leasedUntil", leaseNow, leaseNow + StoredMoments.LongestLease);
            var filter = new BsonDocument("$and", new BsonArray { due, free });
            var sort = new BsonDocument { ["priority"] = 1, ["dueAt"] = 1, ["_id"] = 1 };
            var found = await session.RunAsync(QueueDocument.Collection, (queue, token) => queue.Find(filter).Sort(sort).Limit(max - taken.Count).ToListAsync(token), cancellationToken);
            if (found.Count == 0)
            {
                break;
            }

            // If another taker was faster with an item, the next look finds other items.
            var before = taken.Count;
            foreach (var few in found.Select(QueueDocument.Read).OfType<QueueDocument>().Chunk(AtOnce))
            {
                var leases = await Task.WhenAll(few.Select(async queued => queued.Entry!.Leased(now, until) is var leased && await SwapAsync(queued, leased, cancellationToken) ? leased.ToLease() : null));
                taken.AddRange(leases.OfType<QueueLease>());
            }

            vain = taken.Count > before ? 0 : vain + 1;
        }

        return taken;
    }

    /// <inheritdoc/>
    public async ValueTask<QueueLease?> TakeAsync(PackageName name, TimeSpan duration, CancellationToken cancellationToken)
    {
        var leaseNow = await session.ReadLeaseClockAsync(cancellationToken);
        var until = StoredMoments.EndOfLease(leaseNow, duration);
        var changed = await ChangeAsync(name, entry => !entry.IsLeased(leaseNow), entry => entry.Leased(session.Now, until), cancellationToken);
        return changed?.Entry?.ToLease();
    }

    /// <inheritdoc/>
    public async ValueTask<bool> RenewAsync(QueueLease lease, TimeSpan duration, CancellationToken cancellationToken)
    {
        var until = StoredMoments.EndOfLease(await session.ReadLeaseClockAsync(cancellationToken), duration);
        return await ChangeHeldAsync(lease, entry => entry.Renewed(until), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<bool> CompleteAsync(QueueLease lease, string? doneRev, CancellationToken cancellationToken) =>
        ChangeHeldAsync(lease, entry => entry.Completed(lease, doneRev, session.Now), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> PostponeAsync(QueueLease lease, QueuePostponement postponement, CancellationToken cancellationToken) =>
        ChangeHeldAsync(lease, entry => entry.Postponed(lease, postponement, session.Now), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<QueueItem?> FindQueuedAsync(PackageName name, CancellationToken cancellationToken) => (await ReadAsync(name, cancellationToken))?.Entry?.Item.BelievedAt(session.Now);

    /// <inheritdoc/>
    public async IAsyncEnumerable<QueueItem> ListQueuedAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var stored in MongoPages.ListAsync(session, QueueDocument.Collection, null, null, cancellationToken))
        {
            if (QueueDocument.Read(stored)?.Entry is { } entry)
            {
                yield return entry.Item.BelievedAt(session.Now);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<DateTimeOffset?> NextDueAsync(CancellationToken cancellationToken)
    {
        var (now, leaseNow) = (session.Now, await session.ReadLeaseClockAsync(cancellationToken));
        var free = Either("leasedUntil", leaseNow, leaseNow + StoredMoments.LongestLease);
        var held = new BsonDocument("leasedUntil", new BsonDocument { ["$gt"] = BsonValues.Moment(leaseNow), ["$lte"] = BsonValues.Moment(leaseNow + StoredMoments.LongestLease) });

        // The last that is due too: one that is due too late was written by a wrong clock, and is due now.
        var found = await Task.WhenAll(
            FindAsync(free, new BsonDocument("dueAt", 1), 1, cancellationToken),
            FindAsync(free, new BsonDocument("dueAt", -1), 1, cancellationToken),
            FindAsync(held, new BsonDocument("leasedUntil", 1), LeasedMax, cancellationToken));
        return found.SelectMany(few => few).Select(QueueDocument.Read).Select(queued => queued?.Entry?.NextAt(now, leaseNow)).Min();
    }

    private static BsonDocument Either(string field, DateTimeOffset upTo, DateTimeOffset after) => new(
        "$or",
        new BsonArray { new BsonDocument(field, new BsonDocument("$lte", BsonValues.Moment(upTo))), new BsonDocument(field, new BsonDocument("$gt", BsonValues.Moment(after))) });

    private Task<List<BsonDocument>> FindAsync(BsonDocument filter, BsonDocument sort, int max, CancellationToken cancellationToken) =>
        session.RunAsync(QueueDocument.Collection, (queue, token) => queue.Find(filter).Sort(sort).Limit(max).ToListAsync(token), cancellationToken).AsTask();

    private async ValueTask<QueueDocument?> ReadAsync(PackageName name, CancellationToken cancellationToken) =>
        await session.RunAsync(QueueDocument.Collection, (queue, token) => queue.Find(new BsonDocument("_id", name.Value)).FirstOrDefaultAsync(token)!, cancellationToken) is { } stored ? QueueDocument.Read(stored) : null;

    private async ValueTask<bool> ChangeHeldAsync(QueueLease lease, Func<QueueEntry, QueueEntry?> change, CancellationToken cancellationToken) =>
        await ChangeAsync(lease.Item.Name, entry => entry.Token == lease.Token, change, cancellationToken) is not null;

    /// <summary>Changes an item, and tries again if another writer was faster. Returns it as it is then; null if there is nothing to change.</summary>
    private async ValueTask<QueueDocument?> ChangeAsync(PackageName name, Func<QueueEntry, bool> isMeant, Func<QueueEntry, QueueEntry?> change, CancellationToken cancellationToken)
    {
        for (var tries = 0; tries < TriesMax; tries++)
        {
            if (await ReadAsync(name, cancellationToken) is not { } queued || !isMeant(queued.Entry!))
            {
                return null;
            }

            var changed = change(queued.Entry!);
            if (await SwapAsync(queued, changed, cancellationToken))
            {
                return queued with { Entry = changed };
            }
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"{name} in the queue at {session.Location} is changed by others all the time; try again.", isTransient: true);
    }

    private async ValueTask<bool> SwapAsync(QueueDocument from, QueueEntry? to, CancellationToken cancellationToken)
    {
        var filter = new BsonDocument { ["_id"] = from.Name.Value, ["write"] = from.Write };
        if (to is null)
        {
            var deleted = await session.RunAsync(QueueDocument.Collection, (queue, token) => queue.DeleteOneAsync(filter, token), cancellationToken);
            return deleted.DeletedCount == 1;
        }

        var write = Guid.NewGuid().ToString("N");
        var result = await session.RunAsync(QueueDocument.Collection, (queue, token) => queue.ReplaceOneAsync(filter, QueueDocument.ToBson(to, write), (ReplaceOptions?)null, token), cancellationToken);
        return result.MatchedCount == 1 || (await ReadAsync(from.Name, cancellationToken))?.Write == write;
    }

    /// <summary>Adds or merges items, many in one call; those that another writer was faster with are read again.</summary>
    private async ValueTask AddAsync(Dictionary<PackageName, List<QueueItem>> added, CancellationToken cancellationToken)
    {
        List<PackageName> names = [.. added.Keys];
        for (var tries = 0; names.Count > 0; tries++)
        {
            if (tries == TriesMax)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"The queue at {session.Location} is changed by others all the time; try again.", isTransient: true);
            }

            var held = (await ReadAllAsync(names, null, cancellationToken)).Select(QueueDocument.Read).OfType<QueueDocument>().ToDictionary(queued => queued.Name);
            var write = Guid.NewGuid().ToString("N");
            List<WriteModel<BsonDocument>> writes = [.. names.Select(name => ToWrite(held.GetValueOrDefault(name), added[name].Aggregate(held.GetValueOrDefault(name)?.Entry, (entry, item) => QueueEntry.Add(entry, item, session.Now))!, write))];
            try
            {
                var result = await session.RunAsync(QueueDocument.Collection, (queue, token) => queue.BulkWriteAsync(writes, new BulkWriteOptions { IsOrdered = false }, token), cancellationToken);
                if (result.MatchedCount + result.InsertedCount == names.Count)
                {
                    return;
                }
            }
            catch (MongoException e) when (MongoFaults.IsDuplicate(e))
            {
                // Others have put some of them in.
            }

            // One that was written, and then by another, is merged once more: that changes nothing but its ticket.
            var done = (await ReadAllAsync(names, new BsonDocument("write", 1), cancellationToken)).Where(stored => stored.Text("write") == write).Select(stored => stored.Text("_id")).ToHashSet();
            names.RemoveAll(name => done.Contains(name.Value));
        }
    }

    private static WriteModel<BsonDocument> ToWrite(QueueDocument? from, QueueEntry to, string write) => from is null
        ? new InsertOneModel<BsonDocument>(QueueDocument.ToBson(to, write))
        : new ReplaceOneModel<BsonDocument>(new BsonDocument { ["_id"] = from.Name.Value, ["write"] = from.Write }, QueueDocument.ToBson(to, write));

    private ValueTask<List<BsonDocument>> ReadAllAsync(List<PackageName> names, BsonDocument? fields, CancellationToken cancellationToken)
    {
        var filter = new BsonDocument("_id", new BsonDocument("$in", new BsonArray(names.Select(name => name.Value))));
        return session.RunAsync(
            QueueDocument.Collection,
            (queue, token) =>
            {
                var find = queue.Find(filter);
                return (fields is null ? find : find.Project(fields)).ToListAsync(token);
            },
            cancellationToken);
    }
}
