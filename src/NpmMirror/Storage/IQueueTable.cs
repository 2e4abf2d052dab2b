
namespace NpmMirror.Storage;

/// <summary>
/// The durable queue of packages to look at: one item a name. Enqueueing merges; taking gives a lease that expires, so that items
/// of a dead process come back by themselves.
/// </summary>
public interface IQueueTable
{
    /// <summary>
    /// Adds or merges (see <see cref="QueueItem.MergedWith"/>) and, after all items or in the same transaction, sets the cursor.
    /// Merging raises the item's ticket and never takes away a lease. One name may occur more than once.
    /// </summary>
    ValueTask EnqueueAsync(IReadOnlyList<QueueItem> items, QueueCursor? cursor, CancellationToken cancellationToken);

    /// <summary>Leases up to <paramref name="max"/> items that are due and not leased: most urgent first, then earliest due.</summary>
    ValueTask<IReadOnlyList<QueueLease>> TakeAsync(int max, TimeSpan duration, CancellationToken cancellationToken);

    /// <summary>Leases the named item whether due or not, for a caller that waits for it; null when there is none or another holds it.</summary>
    ValueTask<QueueLease?> TakeAsync(PackageName name, TimeSpan duration, CancellationToken cancellationToken);

    /// <summary>Extends a lease from now on; false when it was lost: it expired and another took the item, or the item is gone.</summary>
    ValueTask<bool> RenewAsync(QueueLease lease, TimeSpan duration, CancellationToken cancellationToken);

    /// <summary>
    /// Ends the work. The item goes, unless it was enqueued again since the take with a wanted rev above <paramref name="doneRev"/>
    /// or with none to compare: then it begins a new life (<see cref="QueueItem.Renewed"/>), due at once, without a lease.
    /// False when the lease was lost (nothing changes).
    /// </summary>
    ValueTask<bool> CompleteAsync(QueueLease lease, string? doneRev, CancellationToken cancellationToken);

    /// <summary>
    /// Puts the item back for later, one attempt more, with the notes for the next try; due at once if it was enqueued again
    /// since the take. False if the lease was lost (nothing changes).
    /// </summary>
    ValueTask<bool> PostponeAsync(QueueLease lease, QueuePostponement postponement, CancellationToken cancellationToken);

    /// <summary>The item, or null.</summary>
    ValueTask<QueueItem?> FindQueuedAsync(PackageName name, CancellationToken cancellationToken);

    /// <summary>All items by name, streamed, for <c>status</c>.</summary>
    IAsyncEnumerable<QueueItem> ListQueuedAsync(CancellationToken cancellationToken);

    /// <summary>When the next item can be taken: when it is due or, under a lease, when that has expired too; null for an empty queue.</summary>
    ValueTask<DateTimeOffset?> NextDueAsync(CancellationToken cancellationToken);
}

/// <summary>How urgent an item is; the smaller, the sooner. The numbers are stored.</summary>
public enum QueuePriority
{
    /// <summary>An administrator named it, and wants the upstream's present document: no "not modified" and no cache is believed.</summary>
    Demand = -1,

    /// <summary>A client waits for it.</summary>
    ReadThrough = 0,

    /// <summary>The feed named it.</summary>
    Change = 1,

    /// <summary>A walk over everything named it.</summary>
    Bulk = 2,
}

/// <summary>One package to look at.</summary>
public sealed record QueueItem
{
    /// <summary>The package.</summary>
    public required PackageName Name { get; init; }

    /// <summary>How urgent.</summary>
    public required QueuePriority Priority { get; init; }

    /// <summary>Not before this moment.</summary>
    public required DateTimeOffset DueAt { get; init; }

    /// <summary>When it was first enqueued; merging keeps the earliest.</summary>
    public required DateTimeOffset QueuedAt { get; init; }

    /// <summary>The rev that the feed named, or null.</summary>
    public string? WantedRev { get; init; }

    /// <summary>Whether the newest feed row flagged a deletion.</summary>
    public bool IsDeletedRow { get; init; }

    /// <summary>Failed or early tries so far.</summary>
    public int Attempts { get; init; }

    /// <summary>When the upstream first answered 404 or 410 in this item's life, or null.</summary>
    public DateTimeOffset? MissingSince { get; init; }

    /// <summary>Why the last try did not finish, for <c>status</c>.</summary>
    public string? LastError { get; init; }

    /// <summary>
    /// The item after another enqueue of its name: highest wanted rev, earliest due, earliest queued, most urgent priority;
    /// <see cref="IsDeletedRow"/> as the newest feed row says. Attempts and their findings stay.
    /// </summary>
    public QueueItem MergedWith(QueueItem added)
    {
        // An enqueue without a rev and without a deletion comes from no feed row: it has nothing to say about either.
        var isRow = added.WantedRev is not null || added.IsDeletedRow;
        var isNewest = isRow && (WantedRev is null || added.WantedRev is null || RevNumber(added.WantedRev) >= RevNumber(WantedRev));
        return this with
        {
            WantedRev = isNewest ? added.WantedRev ?? WantedRev : WantedRev,
            IsDeletedRow = isNewest ? added.IsDeletedRow : IsDeletedRow,
            DueAt = added.DueAt < DueAt ? added.DueAt : DueAt,
            QueuedAt = added.QueuedAt < QueuedAt ? added.QueuedAt : QueuedAt,
            Priority = added.Priority < Priority ? added.Priority : Priority,
        };
    }

    /// <summary>Whether a newer document than this rev is wanted: the wanted rev is above it, or there is none to compare.</summary>
    public bool IsWantedBeyond(string? doneRev) => WantedRev is null || doneRev is null || RevNumber(WantedRev) > RevNumber(doneRev);

    /// <summary>The item's next life, after work on it ended while it had been enqueued again: due at once, nothing tried yet.</summary>
    public QueueItem Renewed(DateTimeOffset now) => this with { DueAt = now, QueuedAt = now, Attempts = 0, MissingSince = null, LastError = null };

    private static long RevNumber(string rev) => new Revision(rev).Number;
}

/// <summary>An item taken for work.</summary>
/// <param name="Item">The item as it was at the take.</param>
/// <param name="Ticket">The item's ticket at the take: enqueueing raises it.</param>
/// <param name="Token">Names this lease.</param>
public sealed record QueueLease(QueueItem Item, long Ticket, string Token);

/// <summary>How an item goes back.</summary>
/// <param name="DueAt">Not before this moment.</param>
/// <param name="Error">Why.</param>
/// <param name="MissingSince">See <see cref="QueueItem.MissingSince"/>.</param>
public sealed record QueuePostponement(DateTimeOffset DueAt, string? Error, DateTimeOffset? MissingSince);

/// <summary>A cursor that moves with an enqueue.</summary>
public sealed record QueueCursor(string Key, string Value);
