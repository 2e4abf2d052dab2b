using NpmMirror.Storage;

namespace NpmMirror.Copying;

/// <summary>Makes the target's queue equal to the source's. Leases are not copied: work that was under way is done anew.</summary>
internal sealed class QueueCopy(IMetadataStore source, IMetadataStore target, CopyTally tally, TimeProvider time)
{
    private const int BatchMax = 500;
    private static readonly TimeSpan Hold = TimeSpan.FromMinutes(1);

    internal async Task RunAsync(CancellationToken cancellationToken)
    {
        tally.BeginPart("queued packages", (await source.CountAsync(cancellationToken)).Queued);
        var begunAt = time.GetUtcNow();
        var added = new List<QueueItem>();
        await foreach (var (item, copied) in MergedLists.WalkAsync(source.Queue.ListQueuedAsync(cancellationToken), target.Queue.ListQueuedAsync(cancellationToken), (left, right) => left.Name.CompareTo(right.Name), cancellationToken))
        {
            if (item is not null)
            {
                tally.Look(seen => seen with { Queued = seen.Queued + 1 });
            }

            if (item is not null && copied is not null && IsSame(item, copied, begunAt, time.GetUtcNow()))
            {
                continue;
            }

            if (copied is not null)
            {
                await RemoveAsync(copied.Name, cancellationToken);
            }

            if (item is not null)
            {
                added.Add(item);
            }

            tally.Copy();
            if (added.Count == BatchMax)
            {
                await target.Queue.EnqueueAsync(added, null, cancellationToken);
                added.Clear();
            }
        }

        if (added.Count > 0)
        {
            await target.Queue.EnqueueAsync(added, null, cancellationToken);
        }
    }

    // A moment that a wrong clock wrote is told as the moment of asking (see StoredMoments): two of those count as the same.
    private static bool IsSame(QueueItem item, QueueItem copied, DateTimeOffset begunAt, DateTimeOffset now)
    {
        return item with { DueAt = default, QueuedAt = default, MissingSince = null } == copied with { DueAt = default, QueuedAt = default, MissingSince = null }
            && (item.DueAt == copied.DueAt || (item.DueAt <= now && copied.DueAt <= now))
            && IsSameMoment(item.QueuedAt, copied.QueuedAt)
            && IsSameMoment(item.MissingSince, copied.MissingSince);

        bool IsSameMoment(DateTimeOffset? left, DateTimeOffset? right) => left == right || (left >= begunAt && right >= begunAt);
    }

    private async ValueTask RemoveAsync(PackageName name, CancellationToken cancellationToken)
    {
        if (await target.Queue.TakeAsync(name, Hold, cancellationToken) is { } lease && await target.Queue.CompleteAsync(lease, null, cancellationToken))
        {
            return;
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"Another process works on the queue of {target.Location}; stop it, and run npm-mirror copy again a minute later.", isTransient: true);
    }
}
