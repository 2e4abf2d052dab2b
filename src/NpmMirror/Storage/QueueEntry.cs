namespace NpmMirror.Storage;

/// <summary>
/// An item of the queue with its lease, and its changes as <see cref="IQueueTable"/> promises them. For authors of engines that read an entry, change it, and write it
/// back if it is still what was read. Moments are kept to the millisecond.
/// </summary>
/// <param name="Item">The item.</param>
/// <param name="Ticket">How often it was enqueued.</param>
/// <param name="BlindTicket">The ticket of the last enqueue that named no rev: no done rev can tell whether it is answered.</param>
/// <param name="Token">Names the lease; null where there is none. A lease that has ended keeps its token: its holder may still end its work, until another takes the item.</param>
/// <param name="LeasedUntil">When the lease ends.</param>
public sealed record QueueEntry(QueueItem Item, long Ticket, long BlindTicket, string? Token, DateTimeOffset LeasedUntil)
{
    /// <summary>Whether a lease is held now.</summary>
    public bool IsLeased(DateTimeOffset now) => Token is not null && StoredMoments.IsHeld(LeasedUntil, now);

    /// <summary>The lease that its holder gets.</summary>
    public QueueLease ToLease() => new(Item, Ticket, Token!);

    /// <summary>When it can be taken, by this node's clock.</summary>
    /// <param name="now">This node's clock.</param>
    /// <param name="leaseNow">The clock by which leases end.</param>
    public DateTimeOffset NextAt(DateTimeOffset now, DateTimeOffset leaseNow)
    {
        var due = Item.BelievedAt(now).DueAt;
        var until = IsLeased(leaseNow) ? now + (LeasedUntil - leaseNow) : due;
        return until > due ? until : due;
    }

    /// <summary>The entry after an enqueue; <paramref name="entry"/> is null where there was none.</summary>
    public static QueueEntry Add(QueueEntry? entry, QueueItem item, DateTimeOffset now)
    {
        var added = item with { DueAt = Truncate(item.DueAt), QueuedAt = Truncate(item.QueuedAt), MissingSince = Truncate(item.MissingSince) };
        return entry is null
            ? new QueueEntry(added, 1, 0, null, default)
            : entry with { Item = entry.Item.BelievedAt(now).MergedWith(added), Ticket = entry.Ticket + 1, BlindTicket = item.WantedRev is null ? entry.Ticket + 1 : entry.BlindTicket };
    }

    /// <summary>With a new lease.</summary>
    public QueueEntry Leased(DateTimeOffset now, DateTimeOffset until) => this with { Item = Item.BelievedAt(now), Token = Guid.NewGuid().ToString("N"), LeasedUntil = Truncate(until) };

    /// <summary>With its lease extended.</summary>
    public QueueEntry Renewed(DateTimeOffset until) => this with { LeasedUntil = Truncate(until) };

    /// <summary>After its work ended; null: the item goes.</summary>
    public QueueEntry? Completed(QueueLease lease, string? doneRev, DateTimeOffset now) => Ticket != lease.Ticket && (BlindTicket > lease.Ticket || Item.IsWantedBeyond(doneRev))
        ? this with { Item = Item.Renewed(Truncate(now)), Token = null, LeasedUntil = default }
        : null;

    /// <summary>Put back for later.</summary>
    public QueueEntry Postponed(QueueLease lease, QueuePostponement postponement, DateTimeOffset now)
    {
        var isDueAtOnce = Ticket != lease.Ticket && now < postponement.DueAt;
        return this with
        {
            Item = Item with
            {
                DueAt = Truncate(isDueAtOnce ? now : postponement.DueAt),
                Attempts = Item.Attempts + 1,
                LastError = postponement.Error,
                MissingSince = Truncate(postponement.MissingSince),
            },
            Token = null,
            LeasedUntil = default,
        };
    }

    private static DateTimeOffset Truncate(DateTimeOffset time) => DateTimeOffset.FromUnixTimeMilliseconds(time.ToUnixTimeMilliseconds());

    private static DateTimeOffset? Truncate(DateTimeOffset? time) => time is { } value ? Truncate(value) : null;
}
