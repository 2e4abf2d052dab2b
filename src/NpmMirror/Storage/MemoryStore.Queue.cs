namespace NpmMirror.Storage;

public sealed partial class MemoryStore
{
    private readonly SortedDictionary<PackageName, MemoryQueued> _queue = [];

    /// <inheritdoc/>
    public ValueTask EnqueueAsync(IReadOnlyList<QueueItem> items, QueueCursor? cursor, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            foreach (var item in items)
            {
                var added = item with { DueAt = Truncate(item.DueAt), QueuedAt = Truncate(item.QueuedAt), MissingSince = Truncate(item.MissingSince) };
                _queue[item.Name] = _queue.TryGetValue(item.Name, out var queued)
                    ? queued with { Item = queued.Item.BelievedAt(timeProvider.GetUtcNow()).MergedWith(added), Ticket = queued.Ticket + 1, HasBlindEnqueue = queued.HasBlindEnqueue || added.WantedRev is null }
                    : new MemoryQueued(added, 1, null, default, false);
            }

            if (cursor is not null)
            {
                _notes[cursor.Key] = cursor.Value;
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<QueueLease>> TakeAsync(int max, TimeSpan duration, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            var now = timeProvider.GetUtcNow();
            var names = _queue.Values
                .Where(queued => !queued.IsLeased(now))
                .Select(queued => queued.Item.BelievedAt(now))
                .Where(item => item.DueAt <= now)
                .OrderBy(item => item.Priority).ThenBy(item => item.DueAt).ThenBy(item => item.Name)
                .Take(max)
                .Select(item => item.Name)
                .ToList();
            return ValueTask.FromResult<IReadOnlyList<QueueLease>>([.. names.Select(name => Lease(name, now, duration))]);
        }
    }

    /// <inheritdoc/>
    public ValueTask<QueueLease?> TakeAsync(PackageName name, TimeSpan duration, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            var now = timeProvider.GetUtcNow();
            var isFree = _queue.TryGetValue(name, out var queued) && !queued.IsLeased(now);
            return ValueTask.FromResult(isFree ? Lease(name, now, duration) : null);
        }
    }

    /// <inheritdoc/>
    public ValueTask<bool> RenewAsync(QueueLease lease, TimeSpan duration, CancellationToken cancellationToken) =>
        ChangeHeld(lease, queued => queued with { LeasedUntil = StoredMoments.EndOfLease(timeProvider.GetUtcNow(), duration) }, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> CompleteAsync(QueueLease lease, string? doneRev, CancellationToken cancellationToken) =>
        ChangeHeld(
            lease,
            queued => queued.Ticket != lease.Ticket && (queued.HasBlindEnqueue || queued.Item.IsWantedBeyond(doneRev))
                ? queued with { Item = queued.Item.Renewed(Truncate(timeProvider.GetUtcNow())), Token = null }
                : null,
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<bool> PostponeAsync(QueueLease lease, QueuePostponement postponement, CancellationToken cancellationToken) =>
        ChangeHeld(
            lease,
            queued =>
            {
                var now = Truncate(timeProvider.GetUtcNow());
                var isDueAtOnce = queued.Ticket != lease.Ticket && now < postponement.DueAt;
                return queued with
                {
                    Token = null,
                    Item = queued.Item with
                    {
                        DueAt = isDueAtOnce ? now : Truncate(postponement.DueAt),
                        Attempts = queued.Item.Attempts + 1,
                        LastError = postponement.Error,
                        MissingSince = Truncate(postponement.MissingSince),
                    },
                };
            },
            cancellationToken);

    /// <inheritdoc/>
    public ValueTask<QueueItem?> FindQueuedAsync(PackageName name, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return ValueTask.FromResult(_queue.GetValueOrDefault(name)?.Item.BelievedAt(timeProvider.GetUtcNow()));
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<QueueItem> ListQueuedAsync(CancellationToken cancellationToken) =>
        SnapshotAsync(() => _queue.Values.Select(queued => queued.Item.BelievedAt(timeProvider.GetUtcNow())), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<DateTimeOffset?> NextDueAsync(CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            var now = timeProvider.GetUtcNow();
            return ValueTask.FromResult(_queue.Values.Min(queued =>
                queued.Item.BelievedAt(now).DueAt is var due && queued.IsLeased(now) && queued.LeasedUntil > due ? queued.LeasedUntil : (DateTimeOffset?)due));
        }
    }

    private QueueLease Lease(PackageName name, DateTimeOffset now, TimeSpan duration)
    {
        var queued = _queue[name];
        queued = queued with { Item = queued.Item.BelievedAt(now), Token = Guid.NewGuid().ToString("N"), LeasedUntil = StoredMoments.EndOfLease(now, duration), HasBlindEnqueue = false };
        _queue[name] = queued;
        return new QueueLease(queued.Item, queued.Ticket, queued.Token);
    }

    private ValueTask<bool> ChangeHeld(QueueLease lease, Func<MemoryQueued, MemoryQueued?> change, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            if (!_queue.TryGetValue(lease.Item.Name, out var queued) || queued.Token != lease.Token)
            {
                return ValueTask.FromResult(false);
            }

            if (change(queued) is { } changed)
            {
                _queue[lease.Item.Name] = changed;
            }
            else
            {
                _queue.Remove(lease.Item.Name);
            }

            return ValueTask.FromResult(true);
        }
    }

    // A blind enqueue came since the take and named no rev: no done rev can tell whether it is answered.
    private sealed record MemoryQueued(QueueItem Item, long Ticket, string? Token, DateTimeOffset LeasedUntil, bool HasBlindEnqueue)
    {
        public bool IsLeased(DateTimeOffset now) => Token is not null && StoredMoments.IsHeld(LeasedUntil, now);
    }
}
