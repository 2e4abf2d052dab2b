using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Syncing;

/// <content>The removal of a package that the upstream has no more: doubt first, then the graveyard.</content>
internal sealed partial class PackageSync
{
    private async Task<SyncResult?> RemoveAsync(PackageName name, PackageRow? row, QueueItem? item, PackumentAnswer.Absent absent, CancellationToken cancellationToken)
    {
        var kind = RemovalCheck.KindOf(absent);
        if (row is null)
        {
            if (item is { IsDeletedRow: true } && absent.Notice is { } notice)
            {
                // Gone before this mirror began, or between two of its fetches: another mirror knows, and this one's followers must know too.
                var removed = Tombstones.EventOf(kind, notice, _time.GetUtcNow());
                return await CommitAsync(Tombstones.CommitOf(name, removed, _known.Identity.ToString()), cancellationToken) is { } written ? new SyncResult.Removed(written, [removed]) : null;
            }

            return new SyncResult.Absent(absent.Status, absent.Reason) { RetryBecause = FindFeedAhead(name, null, item, absent) };
        }

        var reason = absent.Notice is { } told ? told.Reason : absent.Reason;
        if (row.Facts.IsRemoved)
        {
            // Under another revision it was back, and was removed once more, between two fetches.
            return absent.Notice is { Rev: var again } && Tombstones.IsNews(row, again)
                ? await BuryAsync(row, kind, reason, absent.Notice.At, again, cancellationToken)
                : row.Damage is not null && await CommitAsync(new PackageCommit { Name = name, ExpectedGeneration = row.Generation, Facts = row.Facts with { Removal = row.Damage.IsOfRemoval ? kind : row.Facts.Removal, StoredAt = _time.GetUtcNow() }, Events = [] }, cancellationToken) is { } mended
                ? new SyncResult.Removed(mended, [])
                : new SyncResult.Unchanged(row) { RetryBecause = FindFeedAhead(name, row.Facts.Rev, item, absent) };
        }

        var missingSince = item?.MissingSince ?? _time.GetUtcNow();
        if (item is not { IsDeletedRow: true } && await _removals.FindDoubtAsync(name, absent.Status, _time.GetUtcNow() - missingSince, item?.Attempts ?? 0, cancellationToken) is { } doubt)
        {
            return new SyncResult.Unchanged(row) { RetryBecause = doubt, MissingSince = missingSince };
        }

        if (await _breaker.FindReasonAsync(name, cancellationToken) is { } heldBack)
        {
            return new SyncResult.Unchanged(row) { RetryBecause = heldBack, MissingSince = missingSince };
        }

        // Deletions are hardly ever flagged: a row after the stored revision that names no document is a deletion.
        var rev = absent.Notice?.Rev ?? (item is { WantedRev: { } wanted } && (item.IsDeletedRow || IsBefore(row.Facts.Rev, wanted)) ? wanted : null);
        return await BuryAsync(row, kind, reason, absent.Notice?.At, rev, cancellationToken);
    }

    /// <summary>
    /// Why a package that is not there is asked for again, or null: a row of the feed may be ahead of its document, also of a package's first,
    /// and of one that comes back. Lists of everything have names that never resolve.
    /// </summary>
    private string? FindFeedAhead(PackageName name, string? removedAs, QueueItem? item, PackumentAnswer.Absent absent) =>
        item is { Priority: QueuePriority.Change, WantedRev: { } wanted, IsDeletedRow: false }
        && !IsDoubtOver(item, _time.GetUtcNow())
        && (removedAs is null || (wanted != removedAs && !IsBefore(wanted, removedAs)))
            ? $"the feed names {name}, the upstream answers {absent.Status}"
            : null;

    private static bool IsBefore(string? rev, string other) => rev is not null && new Revision(rev).IsBefore(new Revision(other));

    /// <summary>A cache may also send the notice from before a republication: it must not remove a newer package, nor end the wait for it.</summary>
    private async Task<SyncResult?> BuryUnpublishedAsync(PackageName name, PackageRow? row, QueueItem? item, ParsedPackument parsed, CancellationToken cancellationToken)
    {
        var index = parsed.Index;
        if (row is not null && _revisions.FindRegression(row, parsed, item) is { } regression)
        {
            return new SyncResult.Unchanged(row) { RetryBecause = regression };
        }

        var lag = item is { IsDeletedRow: true } ? null : _revisions.FindLag(item, index.Rev, isDifferent: row is not { Facts.IsRemoved: true });
        if (row is null)
        {
            // A package that was never held leaves no trace: there is nothing to keep.
            return new SyncResult.Absent(404, "unpublished upstream") { RetryBecause = lag };
        }

        if (row.Facts.IsRemoved)
        {
            return new SyncResult.Unchanged(row) { RetryBecause = lag };
        }

        if (await _breaker.FindReasonAsync(name, cancellationToken) is { } heldBack)
        {
            return new SyncResult.Unchanged(row) { RetryBecause = heldBack };
        }

        var result = await BuryAsync(row, RemovalKind.Unpublished, "unpublished upstream", index.ModifiedAt, index.Rev, cancellationToken);
        return result is null ? null : result with { RetryBecause = lag };
    }

    /// <summary>Moves a package to the graveyard, its last known document with it.</summary>
    private async Task<SyncResult?> BuryAsync(PackageRow row, RemovalKind kind, string? reason, DateTimeOffset? at, string? rev, CancellationToken cancellationToken)
    {
        var now = _time.GetUtcNow();
        // A follower with the last document must take the deletion for something newer.
        var told = rev is null || rev == row.Facts.Rev ? ServedRevision.OfDeletion(row.Facts.Rev) : rev;
        var removed = new PackageRemoved(kind, reason, row.DocumentSha256.Hex) { At = at, SeenAt = now, UpstreamRev = rev };
        var written = await CommitAsync(
            new PackageCommit
            {
                Name = row.Name,
                ExpectedGeneration = row.Generation,
                Facts = row.Facts with
                {
                    Removal = kind,
                    RemovalReason = reason,
                    Rev = told,
                    Ancestors = ServedRevision.AncestorsAfter(row, told),
                    ETag = null,
                    LastModified = null,
                    ModifiedAt = at ?? now,
                    StoredAt = now,
                },
                Events = Pending([removed]),
                // The event points into it: it must not go when the package comes back.
                ArchivesPrevious = true,
            },
            cancellationToken);
        if (written is null)
        {
            return null;
        }

        LogRemoved(row.Name, kind, reason ?? "the upstream does not say why", _options.Removed.ModeOf(kind) == RemovedMode.Purge ? "is there until gc purges it" : "stays in the graveyard");
        return new SyncResult.Removed(written, [removed]);
    }

    [LoggerMessage(EventIds.Mirror + 1, LogLevel.Information, "Package {Package} is gone ({Kind}): {Reason}; its last known metadata {Kept}")]
    private partial void LogRemoved(PackageName package, RemovalKind kind, string reason, string kept);
}
