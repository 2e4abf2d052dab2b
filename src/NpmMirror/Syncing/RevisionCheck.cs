using NpmMirror.Feeds;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>Whether an answer is as new as it should be: caches lag the feed, and send documents older than the stored one.</summary>
internal sealed class RevisionCheck(KnownUpstream known, TimeProvider time)
{
    /// <summary>Why the answer is older than the feed's row, or null.</summary>
    internal string? FindLag(QueueItem? item, string? rev, bool isDifferent)
    {
        if (item is null || (item.WantedRev is null && !item.IsDeletedRow))
        {
            return null;
        }

        var now = time.GetUtcNow();
        if (PackageSync.IsDoubtOver(item, now))
        {
            return null;
        }

        var areComparable = rev is not null && item.WantedRev is not null;
        if (item.IsDeletedRow)
        {
            // Published again since, or a cache that has not heard of the deletion.
            var isAfterDeletion = areComparable ? new Revision(item.WantedRev!).IsBefore(new Revision(rev!)) : isDifferent;
            return isAfterDeletion ? null : "the feed says it was deleted, the upstream still sends it";
        }

        var isReached = areComparable
            ? !new Revision(rev!).IsBefore(new Revision(item.WantedRev!))
            : isDifferent || (item.Attempts + 1 >= 3 && now - item.QueuedAt >= TimeSpan.FromMinutes(1));
        return isReached ? null : $"the feed speaks of rev {item.WantedRev}, the upstream still sends {rev ?? "the same document"}";
    }

    /// <summary>Why the answer must not replace the stored document, or null.</summary>
    /// <remarks>
    /// Where the upstream has revisions they decide, else the moment of the last change that the document states. One that is only inferred from its
    /// versions' times says nothing: it goes back when the newest version is unpublished.
    /// </remarks>
    internal string? FindRegression(PackageRow row, ParsedPackument parsed, QueueItem? item)
    {
        var index = parsed.Index;
        if (row.Facts.IsRemoved || (item is not null && PackageSync.IsDoubtOver(item, time.GetUtcNow())))
        {
            return null;
        }

        // An unpublish carries `time.unpublished`; a packument that lost all versions without it is an upstream fault.
        if (index is { Versions.Count: 0, IsUnpublished: false } && PackumentIndex.FromBytes(row.Index.Span, row.Name).Versions.Count > 0)
        {
            return "the upstream sends the package without any version, and does not say that it was unpublished";
        }

        if (!known.Identity.CouldBeSame(row.Facts.Upstream))
        {
            return null;
        }

        if (row.Facts.Rev is null && index.Rev is null)
        {
            return parsed.StatedModifiedAt < row.Facts.ModifiedAt
                ? $"the upstream sends the document of {parsed.StatedModifiedAt:O}, older than the stored of {row.Facts.ModifiedAt:O}"
                : null;
        }

        if (row.Facts.Rev is not { } stored || index.Rev is not { } fetched)
        {
            return null;
        }

        return new Revision(fetched).IsBefore(new Revision(stored)) ? $"the upstream sends rev {fetched}, older than the stored {stored}" : null;
    }
}
