using NpmMirror;
using NpmMirror.Storage;

namespace Engine;

/// <summary>The queue: one entry a name, and beside it a table in the order of urgency and due time. Its rules are <see cref="QueueEntry"/>'s.</summary>
internal sealed class LmdbQueue(LmdbSession session) : IQueueTable
{
    public ValueTask EnqueueAsync(IReadOnlyList<QueueItem> items, QueueCursor? cursor, CancellationToken cancellationToken) => new(session.WriteAsync(
        transaction =>
        {
            foreach (var item in items)
            {
                var entry = Find(transaction, item.Name);
                Put(transaction, entry, QueueEntry.Add(entry, item, session.Now));
            }

            if (cursor is not null)
            {
                transaction.Put(Table.Notes, Keys.Of(cursor.Key), Keys.Of(cursor.Value));
            }

            return true;
        },
        cancellationToken).AsTask());

    public ValueTask<IReadOnlyList<QueueLease>> TakeAsync(int max, TimeSpan duration, CancellationToken cancellationToken)
    {
        var until = StoredMoments.EndOfLease(session.Now, duration);
        return session.WriteAsync<IReadOnlyList<QueueLease>>(
            transaction =>
            {
                var now = session.Now;
                var free = Enum.GetValues<QueuePriority>().Order().SelectMany(priority => InOrder(transaction, priority, now))
                    .Where(entry => entry.Item.BelievedAt(now).DueAt <= now && !entry.IsLeased(now))
                    .Take(max)
                    .ToList();
                return [.. free.Select(entry => Lease(transaction, entry, now, until))];
            },
            cancellationToken);
    }

    public ValueTask<QueueLease?> TakeAsync(PackageName name, TimeSpan duration, CancellationToken cancellationToken)
    {
        var until = StoredMoments.EndOfLease(session.Now, duration);
        return session.WriteAsync(transaction => Find(transaction, name) is { } entry && !entry.IsLeased(session.Now) ? Lease(transaction, entry, session.Now, until) : null, cancellationToken);
    }

    public ValueTask<bool> RenewAsync(QueueLease lease, TimeSpan duration, CancellationToken cancellationToken)
    {
        var until = StoredMoments.EndOfLease(session.Now, duration);
        return ChangeAsync(lease, entry => entry.Renewed(until), cancellationToken);
    }

    public ValueTask<bool> CompleteAsync(QueueLease lease, string? doneRev, CancellationToken cancellationToken) =>
        ChangeAsync(lease, entry => entry.Completed(lease, doneRev, session.Now), cancellationToken);

    public ValueTask<bool> PostponeAsync(QueueLease lease, QueuePostponement postponement, CancellationToken cancellationToken) =>
        ChangeAsync(lease, entry => entry.Postponed(lease, postponement, session.Now), cancellationToken);

    public ValueTask<QueueItem?> FindQueuedAsync(PackageName name, CancellationToken cancellationToken) =>
        session.ReadAsync(transaction => Find(transaction, name)?.Item.BelievedAt(session.Now), cancellationToken);

    public IAsyncEnumerable<QueueItem> ListQueuedAsync(CancellationToken cancellationToken) => session.ListAsync(
        [],
        (transaction, from) => transaction.From(Table.Queue, from).Select(one => (Keys.After(one.Key), LmdbTransaction.Decode<QueueEntry>(one.Value).Item.BelievedAt(session.Now))),
        cancellationToken);

    public ValueTask<DateTimeOffset?> NextDueAsync(CancellationToken cancellationToken) => session.ReadAsync(
        transaction =>
        {
            var now = session.Now;
            DateTimeOffset? next = null;
            foreach (var entry in Enum.GetValues<QueuePriority>().SelectMany(priority => Ahead(transaction, priority, now)))
            {
                next = next < entry.NextAt(now, now) ? next : entry.NextAt(now, now);
            }

            return next;
        },
        cancellationToken);

    // In order of due time; those due later than anything can be, which a wrong clock wrote, are due now.
    private static IEnumerable<QueueEntry> InOrder(LmdbTransaction transaction, QueuePriority priority, DateTimeOffset now)
    {
        var (first, late) = (DueKey(priority, 0), DueKey(priority, (now + StoredMoments.LongestPause).ToUnixTimeMilliseconds() + 1));
        return transaction.From(Table.QueueDue, first, [first[0]])
            .TakeWhile(one => one.Key.AsSpan().SequenceCompareTo(DueKey(priority, now.ToUnixTimeMilliseconds() + 1)) < 0)
            .Concat(transaction.From(Table.QueueDue, late, [first[0]]))
            .Select(one => LmdbTransaction.Decode<QueueEntry>(transaction.Find(Table.Queue, one.Value)!));
    }

    // The leased ones up to the first free one, and that one: no later one can be taken before it.
    private static IEnumerable<QueueEntry> Ahead(LmdbTransaction transaction, QueuePriority priority, DateTimeOffset now)
    {
        var (first, late) = (DueKey(priority, 0), DueKey(priority, (now + StoredMoments.LongestPause).ToUnixTimeMilliseconds() + 1));
        foreach (var from in (byte[][])[first, late])
        {
            foreach (var (_, name) in transaction.From(Table.QueueDue, from, [first[0]]))
            {
                var entry = LmdbTransaction.Decode<QueueEntry>(transaction.Find(Table.Queue, name)!);
                yield return entry;
                if (!entry.IsLeased(now))
                {
                    break;
                }
            }
        }
    }

    private static QueueLease Lease(LmdbTransaction transaction, QueueEntry entry, DateTimeOffset now, DateTimeOffset until)
    {
        var leased = entry.Leased(now, until);
        Put(transaction, entry, leased);
        return leased.ToLease();
    }

    private static QueueEntry? Find(LmdbTransaction transaction, PackageName name) => transaction.FindRow<QueueEntry>(Table.Queue, Keys.Of(name));

    private static void Put(LmdbTransaction transaction, QueueEntry? previous, QueueEntry? entry)
    {
        if (previous is not null)
        {
            transaction.Remove(Table.QueueDue, DueKey(previous.Item));
            transaction.Remove(Table.Queue, Keys.Of(previous.Item.Name));
        }

        if (entry is not null)
        {
            transaction.Put(Table.QueueDue, DueKey(entry.Item), Keys.Of(entry.Item.Name));
            transaction.PutRow(Table.Queue, Keys.Of(entry.Item.Name), entry);
        }

        var counts = transaction.Counts;
        transaction.Counts = counts with { Queued = counts.Queued + (entry is null ? 0 : 1) - (previous is null ? 0 : 1) };
    }

    private static byte[] DueKey(QueueItem item) => [.. DueKey(item.Priority, item.DueAt.ToUnixTimeMilliseconds()), .. Keys.Of(item.Name)];

    private static byte[] DueKey(QueuePriority priority, long dueAt) => [(byte)((int)priority + 1), .. Keys.Of(Math.Max(dueAt, 0))];

    private ValueTask<bool> ChangeAsync(QueueLease lease, Func<QueueEntry, QueueEntry?> change, CancellationToken cancellationToken) => session.WriteAsync(
        transaction =>
        {
            if (Find(transaction, lease.Item.Name) is not { } entry || entry.Token != lease.Token)
            {
                return false;
            }

            Put(transaction, entry, change(entry));
            return true;
        },
        cancellationToken);
}
