using System.Runtime.CompilerServices;
using System.Text.Json;
using NpmMirror.Diagnostics;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>
/// The queue: a hash of items, and sorted sets that find them by when they are due, by when their lease ends, and by name. Each change is decided here and put
/// into place in one step, if the item is still the one that was read.
/// </summary>
internal sealed class RedisQueue(RedisSession session, RedisNotes notes) : IQueueTable
{
    private const int EnqueueMax = 500;
    private const int PageMax = 256;

    // Leases under way are as many as there are workers.
    private const int LeasedMax = 1000;

    // After a look in vain, other takers had all items that it found.
    private const int VainMax = 100;

    // Pages that one look brings back.
    private const int ReturnMax = 100;
    private const double Earliest = double.NegativeInfinity;
    private const double Latest = double.PositiveInfinity;

    // The enum lists its negative values last.
    private static readonly QueuePriority[] Priorities = [.. Enum.GetValues<QueuePriority>().Order()];

    /// <inheritdoc/>
    public async ValueTask EnqueueAsync(IReadOnlyList<QueueItem> items, QueueCursor? cursor, CancellationToken cancellationToken)
    {
        var breaks = session.Breaks;
        for (var start = 0; start < items.Count; start += EnqueueMax)
        {
            var added = new Dictionary<PackageName, List<QueueItem>>();
            for (var i = start; i < Math.Min(start + EnqueueMax, items.Count); i++)
            {
                if (!added.TryGetValue(items[i].Name, out var ofName))
                {
                    added.Add(items[i].Name, ofName = []);
                }

                ofName.Add(items[i]);
            }

            await ChangeAsync([.. added.Keys], queued => added[queued.Name].Aggregate(queued, (merged, item) => merged.Added(item, session.Now)), cancellationToken);
        }

        await session.ConfirmAsync([session.Keys.Queued], breaks, cancellationToken);
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
            await ReturnAsync(now, leaseNow, cancellationToken);
            var due = await session.RunAsync(
                database => Task.WhenAll(Priorities.Select(priority => database.SortedSetRangeByScoreAsync(session.Keys.QueueDue((int)priority), Earliest, Score(now), Exclude.None, Order.Ascending, 0, max - taken.Count, RedisSession.Flags))),
                cancellationToken);
            var names = due.SelectMany(members => members).Select(Name).OfType<PackageName>().Take(max - taken.Count).ToList();
            if (names.Count == 0)
            {
                break;
            }

            // If another taker was faster with an item, the next look finds other items.
            var found = await ReadAsync(names, cancellationToken);
            var changes = found.Where(queued => queued.IsThere && !queued.IsLeased(leaseNow)).Select(queued => (From: queued, To: queued.Leased(now, until))).ToList();
            var outcomes = await SwapAsync([.. changes], cancellationToken);
            taken.AddRange(changes.Zip(outcomes).Where(pair => pair.Second).Select(pair => pair.First.To.ToLease()));
            vain = outcomes.Contains(true) ? 0 : vain + 1;
        }

        return taken;
    }

    /// <inheritdoc/>
    public async ValueTask<QueueLease?> TakeAsync(PackageName name, TimeSpan duration, CancellationToken cancellationToken)
    {
        QueueLease? lease = null;
        var leaseNow = await session.ReadLeaseClockAsync(cancellationToken);
        await ChangeAsync(
            [name],
            queued =>
            {
                lease = null;
                if (!queued.IsThere || queued.IsLeased(leaseNow))
                {
                    return queued;
                }

                var leased = queued.Leased(session.Now, StoredMoments.EndOfLease(leaseNow, duration));
                lease = leased.ToLease();
                return leased;
            },
            cancellationToken);
        return lease;
    }

    /// <inheritdoc/>
    public async ValueTask<bool> RenewAsync(QueueLease lease, TimeSpan duration, CancellationToken cancellationToken)
    {
        var until = StoredMoments.EndOfLease(await session.ReadLeaseClockAsync(cancellationToken), duration);
        return await ChangeHeldAsync(lease, queued => queued.Renewed(until), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<bool> CompleteAsync(QueueLease lease, string? doneRev, CancellationToken cancellationToken) =>
        ChangeHeldAsync(lease, queued => queued.Completed(lease, doneRev, session.Now), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> PostponeAsync(QueueLease lease, QueuePostponement postponement, CancellationToken cancellationToken) =>
        ChangeHeldAsync(lease, queued => queued.Postponed(lease, postponement, session.Now), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<QueueItem?> FindQueuedAsync(PackageName name, CancellationToken cancellationToken) => (await ReadAsync([name], cancellationToken))[0].ItemAt(session.Now);

    /// <inheritdoc/>
    public async IAsyncEnumerable<QueueItem> ListQueuedAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var page in RedisLists.PagesAsync(session, session.Keys.QueuedNames, "", "", PageMax, cancellationToken))
        {
            var names = page.Select(text => Name(text)).OfType<PackageName>().ToList();
            foreach (var queued in await ReadAsync(names, cancellationToken))
            {
                if (queued.ItemAt(session.Now) is { } item)
                {
                    yield return item;
                }
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<DateTimeOffset?> NextDueAsync(CancellationToken cancellationToken)
    {
        var (now, leaseNow, keys) = (session.Now, await session.ReadLeaseClockAsync(cancellationToken), session.Keys);
        var (due, leased) = await session.RunAsync(
            async database =>
            {
                var firsts = Priorities.Select(priority => database.SortedSetRangeByRankAsync(keys.QueueDue((int)priority), 0, 0, Order.Ascending, RedisSession.Flags));
                var lasts = Priorities.Select(priority => database.SortedSetRangeByRankAsync(keys.QueueDue((int)priority), 0, 0, Order.Descending, RedisSession.Flags));
                var held = database.SortedSetRangeByRankAsync(keys.QueueLeased, 0, LeasedMax, Order.Ascending, RedisSession.Flags);
                return (Due: (await Task.WhenAll(firsts.Concat(lasts))).SelectMany(members => members).ToList(), Leased: await held);
            },
            cancellationToken);

        // The last of each too: one that is due too late was written by a wrong clock, and is due now.
        var queued = await ReadAsync([.. due.Concat(leased).Distinct().Select(Name).OfType<PackageName>()], cancellationToken);
        return queued.Select(one => one.NextAt(now, leaseNow)).Min();
    }

    private async ValueTask<bool> ChangeHeldAsync(QueueLease lease, Func<Queued, Queued> change, CancellationToken cancellationToken)
    {
        var isHeld = false;
        await ChangeAsync([lease.Item.Name], queued => (isHeld = queued.IsThere && queued.Text!.Token == lease.Token) ? change(queued) : queued, cancellationToken);
        return isHeld;
    }

    /// <summary>Changes items, and tries again if another writer was faster. Returns how many it changed.</summary>
    private async ValueTask<int> ChangeAsync(List<PackageName> names, Func<Queued, Queued> change, CancellationToken cancellationToken)
    {
        var changed = 0;
        await session.RunAsync(
            "The queue",
            async () =>
            {
                var changes = (await ReadAsync(names, cancellationToken)).Select(queued => (From: queued, To: change(queued))).Where(pair => pair.From != pair.To).ToArray();
                var outcomes = await SwapAsync(changes, cancellationToken);
                names = [.. changes.Zip(outcomes).Where(pair => !pair.Second).Select(pair => pair.First.From.Name)];
                changed += changes.Length - names.Count;
                return names.Count == 0;
            });
        return changed;
    }

    /// <summary>Brings items back to the due ones if their lease has ended, or ends or is due too late to be believed.</summary>
    private async ValueTask ReturnAsync(DateTimeOffset now, DateTimeOffset leaseNow, CancellationToken cancellationToken)
    {
        // What is left over comes back with the next look.
        var keys = session.Keys;
        for (var pages = 0; pages < ReturnMax; pages++)
        {
            var (leaseMax, pauseMax) = (Score(leaseNow + StoredMoments.LongestLease), Score(now + StoredMoments.LongestPause));
            var found = await session.RunAsync(
                database => Task.WhenAll(
                [
                    database.SortedSetRangeByScoreAsync(keys.QueueLeased, Earliest, Score(leaseNow), Exclude.None, Order.Ascending, 0, PageMax, RedisSession.Flags),
                    database.SortedSetRangeByScoreAsync(keys.QueueLeased, leaseMax, Latest, Exclude.Start, Order.Ascending, 0, PageMax, RedisSession.Flags),
                    .. Priorities.Select(priority => database.SortedSetRangeByScoreAsync(keys.QueueDue((int)priority), pauseMax, Latest, Exclude.Start, Order.Ascending, 0, PageMax, RedisSession.Flags)),
                ]),
                cancellationToken);
            var names = found.SelectMany(members => members).Select(Name).OfType<PackageName>().Distinct().ToList();
            if (await ChangeAsync(names, queued => queued.Believed(now, leaseNow), cancellationToken) == 0)
            {
                return;
            }
        }
    }

    private async ValueTask<Queued[]> ReadAsync(List<PackageName> names, CancellationToken cancellationToken)
    {
        if (names.Count == 0)
        {
            return [];
        }

        var values = await session.RunAsync(database => database.HashGetAsync(session.Keys.Queued, [.. names.Select(name => (RedisValue)name.Value)], RedisSession.Flags), cancellationToken);
        return [.. names.Zip(values, Queued.Read)];
    }

    private async ValueTask<bool[]> SwapAsync((Queued From, Queued To)[] changes, CancellationToken cancellationToken)
    {
        if (changes.Length == 0)
        {
            return [];
        }

        var keys = session.Keys;
        RedisKey[] all = [keys.Queued, keys.QueuedNames, keys.QueueLeased, .. Priorities.Select(priority => keys.QueueDue((int)priority))];
        var values = new List<RedisValue>();
        foreach (var (from, to) in changes)
        {
            // The place of the set among the keys: 3 is that of leases.
            var place = to.Text is null ? 0 : to.IsAmongLeased ? 3 : 4 + Array.IndexOf(Priorities, to.Priority);
            values.AddRange(
            [
                from.Name.Value,
                from.Stored.IsNull ? "" : from.Stored,
                to.Text is null ? "" : JsonSerializer.SerializeToUtf8Bytes(to.Text, StoredJson.Default.QueuedText),
                place,
                (to.IsAmongLeased ? to.Text!.LeasedUntil : to.Text?.DueAt ?? default).ToUnixTimeMilliseconds(),
            ]);
        }

        return [.. ((RedisResult[])(await session.RunAsync(RedisScripts.SwapQueued, all, [.. values], cancellationToken))!).Select(outcome => (bool)outcome)];
    }

    private static PackageName? Name(RedisValue member) => Name((string?)member);

    private static PackageName? Name(string? text) => PackageName.TryParse(text, out var name) ? name : null;

    private static double Score(DateTimeOffset time) => time.ToUnixTimeMilliseconds();
}
