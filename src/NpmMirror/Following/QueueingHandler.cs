using NpmMirror.Feeds;
using NpmMirror.Notes;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;

namespace NpmMirror.Following;

/// <summary>
/// Handles pages of changes for a mirror: queues the names it holds or wants, durably and together with the <c>read</c> cursor,
/// waits until each was tried once, then moves <c>handled</c>. Rows of packages not held cost no request. From another npm-mirror
/// (<c>isMirrors</c>) deletions of packages that were never held are wanted too: it tells which packages were removed, how and when.
/// </summary>
internal sealed class QueueingHandler(IMetadataStore store, SyncQueue queue, PackageNews packageNews, PackageScope scope, KnownUpstream known, bool isMirrors, TimeProvider time) : IChangeHandler
{
    /// <summary>A try that takes longer is parked in the queue, and holds nothing up.</summary>
    private static readonly TimeSpan FirstTryMax = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(1);

    public async Task HandleAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken)
    {
        var items = await SelectAsync(page, null, cancellationToken);
        var tries = items.ConvertAll(item => queue.NextAttemptAsync(item.Name));
        await queue.EnqueueAsync(items, new QueueCursor(MirrorCursors.Read, page.LastSequence.Text), cancellationToken);
        var begun = time.GetTimestamp();
        for (var i = 0; i < items.Count; i++)
        {
            await WaitForTryAsync(items[i].Name, tries[i], begun, cancellationToken);
        }

        await store.Notes.SetNoteAsync(MirrorCursors.Handled, page.LastSequence.Text, cancellationToken);
    }

    public async Task<IReadOnlyList<ChangeRow>> HandleAgainAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken)
    {
        // Queued durably, that is enough: no cursor waits for them.
        var news = new List<ChangeRow>();
        var items = await SelectAsync(page, news, cancellationToken);
        await queue.EnqueueAsync(items, null, cancellationToken);
        return news;
    }

    public ValueTask<string?> ReadTrailAsync(CancellationToken cancellationToken) => store.Notes.FindNoteAsync(MirrorCursors.Trail, cancellationToken);

    public ValueTask KeepTrailAsync(string trail, CancellationToken cancellationToken) => store.Notes.SetNoteAsync(MirrorCursors.Trail, trail, cancellationToken);

    /// <summary>Waits until a name was tried, by this process or by another that shares the queue and sends no notice.</summary>
    private async Task WaitForTryAsync(PackageName name, Task tried, long begun, CancellationToken cancellationToken)
    {
        int? attempts = null;
        while (!tried.IsCompleted && time.GetElapsedTime(begun) < FirstTryMax)
        {
            if (time.GetElapsedTime(begun) >= BetweenLooks)
            {
                var item = await store.Queue.FindQueuedAsync(name, cancellationToken);
                if (item is null || item.Attempts > attempts)
                {
                    return;
                }

                attempts ??= item.Attempts;
            }

            await Task.WhenAny(tried, Task.Delay(BetweenLooks, time, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <param name="page">The rows.</param>
    /// <param name="news">Gets the rows that bring something, if they come late; null on the way forward.</param>
    /// <param name="cancellationToken">Ends it.</param>
    private async Task<List<QueueItem>> SelectAsync(ChangesPage page, List<ChangeRow>? news, CancellationToken cancellationToken)
    {
        var items = new Dictionary<PackageName, QueueItem>(page.Rows.Count);
        var now = time.GetUtcNow();
        foreach (var change in page.Rows)
        {
            // The feed also has design documents and ids that are no names.
            if (!PackageName.TryParse(change.Id, out var name))
            {
                continue;
            }

            packageNews.TellNamed(name);
            var row = await store.Packages.FindAsync(name, cancellationToken);
            if ((row is null ? await IsWantedAsync(name, change, cancellationToken) : !IsKnown(row, change)) && (news is null || !await IsQueuedAsync(name, change, cancellationToken)))
            {
                news?.Add(change);
                items[name] = new QueueItem
                {
                    Name = name,
                    Priority = QueuePriority.Change,
                    DueAt = now,
                    QueuedAt = now,
                    WantedRev = change.Rev,
                    IsDeletedRow = change.IsDeleted,
                };
            }
        }

        return [.. items.Values];
    }

    /// <summary>Whether a package that is not held is wanted: by the mode, or by a client whose fetch is under way.</summary>
    private async ValueTask<bool> IsWantedAsync(PackageName name, ChangeRow change, CancellationToken cancellationToken) =>
        (scope.IsWantedAhead(name) && (isMirrors || !change.IsDeleted)) || await store.Queue.FindQueuedAsync(name, cancellationToken) is not null;

    /// <summary>Whether the queue already waits for this change or a newer one.</summary>
    private async ValueTask<bool> IsQueuedAsync(PackageName name, ChangeRow change, CancellationToken cancellationToken) =>
        await store.Queue.FindQueuedAsync(name, cancellationToken) is { WantedRev: { } wanted } item
        && item.IsDeletedRow == change.IsDeleted
        && change.Rev is { } rev
        && !new Revision(wanted).IsBefore(new Revision(rev));

    /// <summary>Whether the stored package is already as new as the row says.</summary>
    private bool IsKnown(PackageRow row, ChangeRow change)
    {
        if (change.IsDeleted || row.Facts.IsRemoved)
        {
            // For any other feed a further request could not tell more than the revision of a deletion.
            return change.IsDeleted && row.Facts.IsRemoved && !(isMirrors && Tombstones.IsNews(row, change.Rev));
        }

        if (change.Rev is not { } rev || row.Facts.Rev is not { } stored)
        {
            return false;
        }

        // A higher number means newer in one life of the database only; the very same rev is the same document in any.
        return rev == stored
            ? known.Identity.CouldBeSame(row.Facts.Upstream)
            : known.Identity.IsSame(row.Facts.Upstream) && new Revision(rev).IsBefore(new Revision(stored));
    }
}
