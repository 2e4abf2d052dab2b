using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;

namespace NpmMirror.Reconciling;

/// <summary>
/// Compares everything held with everything the upstream lists, and queues missing, stale and vanished packages. The list comes in the upstream's
/// collation, the store's in that of bytes: the former is spooled, then both are joined in one pass and in bounded memory. Repeatable: equal
/// packages are skipped, queued ones are merged; so a run that was cut short is run again and loses nothing.
/// </summary>
internal sealed partial class Reconciler(IMetadataStore store, SyncQueue queue, PackageScope scope, KnownUpstream known, MirrorOptions options, TimeProvider time, ILogger logger)
{
    private readonly string _dataFolder = Path.GetFullPath(options.Data);

    /// <summary>Why nothing can be compared at an upstream that has no feed and no list.</summary>
    internal static MirrorException NoList(PackageScope scope, MirrorException found)
    {
        var why = scope.HasGlobs ? "globs in list need" : scope.Mode == MetadataMode.All ? "metadata=all needs" : "a comparison needs";
        return new MirrorException(
            MirrorFault.Configuration,
            $"The upstream has neither a feed nor a list of its packages, which {why}; name a feed with --feed, or list the packages by name.",
            inner: found);
    }

    /// <summary>Compares with a feed's list; with another npm-mirror, also with its removals.</summary>
    /// <exception cref="MirrorException">The lists, the store or the disk are in trouble.</exception>
    internal async Task<Reconciliation> RunAsync(IChangeFeed feed, FeedInfo info, CancellationToken cancellationToken)
    {
        var found = await RunAsync(feed.ListAllAsync(cancellationToken), info.DocumentCount, cancellationToken);
        if (info.IsMirror)
        {
            await new TombstoneQueue(store.Packages, queue, scope, time).AddAsync(feed.ListRemovedAsync(cancellationToken), cancellationToken);
        }

        return found;
    }

    /// <summary>Reads the whole list, then compares and queues. From a list that breaks off nothing is queued.</summary>
    /// <param name="list">The upstream's list, in any order.</param>
    /// <param name="upstreamCount">The number of documents that the upstream claims, if it does.</param>
    /// <param name="cancellationToken">Ends it; packages queued by then stay queued.</param>
    /// <param name="asksForUnlisted">Asks for all held packages that are not listed, however many: the list may be incomplete.</param>
    /// <exception cref="MirrorException">The list, the store or the disk is in trouble.</exception>
    internal async Task<Reconciliation> RunAsync(IAsyncEnumerable<ListedPackage> list, long? upstreamCount, CancellationToken cancellationToken, bool asksForUnlisted = false)
    {
        var begun = new UnfinishedReconciliation(time.GetUtcNow(), null);
        await begun.KeepAsync(store.Notes, cancellationToken);
        try
        {
            var found = await RunAsync(begun.StartedAt, list, upstreamCount, asksForUnlisted, cancellationToken);
            if (options.AcceptRemovals)
            {
                // The packages that are asked for now are confirmed later, also by another process.
                await RemovalState.AcceptAsync(store, time.GetUtcNow(), cancellationToken);
            }

            await found.KeepAsync(store.Notes, cancellationToken);
            LogReconciled(found.Listed, found.Held, found.Missing, found.Stale, found.Vanished);
            return found;
        }
        catch (MirrorException e) when (e.Fault != MirrorFault.StoreUnavailable && e.Fault != MirrorFault.StoreReadOnly)
        {
            await (begun with { Failure = e.Message }).KeepAsync(store.Notes, cancellationToken);
            throw;
        }
    }

    private async Task<Reconciliation> RunAsync(DateTimeOffset startedAt, IAsyncEnumerable<ListedPackage> list, long? upstreamCount, bool asksForUnlisted, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(_dataFolder, "tmp");
        using var files = new UnfinishedFiles(folder, new DurableFolders(_dataFolder), logger);
        using var spool = new ListSpool(folder, files);
        var others = await SpoolAsync(list, spool, cancellationToken);
        return await CompareAsync(spool, new Reconciliation(startedAt, startedAt, others, 0, 0, 0, 0, null), upstreamCount, asksForUnlisted, cancellationToken) with { EndedAt = time.GetUtcNow() };
    }

    /// <returns>How many ids are no names. Design documents and other ids are on the list too, and in the upstream's count.</returns>
    internal static async Task<long> SpoolAsync(IAsyncEnumerable<ListedPackage> list, ListSpool spool, CancellationToken cancellationToken)
    {
        var others = 0L;
        await foreach (var package in list.WithCancellation(cancellationToken))
        {
            if (PackageName.TryParse(package.Id, out var name))
            {
                spool.Add(name, package.Rev, package.ModifiedAt);
            }
            else
            {
                others++;
            }
        }

        return others;
    }

    private async Task<Reconciliation> CompareAsync(ListSpool spool, Reconciliation found, long? upstreamCount, bool asksForUnlisted, CancellationToken cancellationToken)
    {
        // Counted here, where each name is there once: a name that came twice must not make up for a missing one.
        var (listed, held, missing, stale, vanished) = (found.Listed, 0L, 0L, 0L, 0L);
        var bulk = new BulkQueue(queue, time);

        // The number of vanished packages decides whether any is believed, so this waits; names beyond the limit are only counted.
        var doubted = new List<PackageName>();
        var doubtedMax = RemovalBreaker.RemovalsMax((await store.CountAsync(cancellationToken)).Packages);
        await foreach (var pair in ListJoin.JoinAsync(spool.ReadSorted(), store.Packages, cancellationToken))
        {
            listed += pair.IsListed ? 1 : 0;
            held += pair.IsHeld ? 1 : 0;
            if (!pair.IsListed && pair.IsHeld)
            {
                vanished++;
                if (options.AcceptRemovals || asksForUnlisted)
                {
                    await bulk.AddAsync(pair.Name, null, cancellationToken);
                }
                else if (doubted.Count < doubtedMax)
                {
                    doubted.Add(pair.Name);
                }
            }
            else if (pair.IsListed && pair.Mark is null && scope.IsWantedAhead(pair.Name))
            {
                missing++;
                await bulk.AddAsync(pair.Name, pair.Rev, cancellationToken);
            }
            else if (pair.IsListed && pair.Mark is not null && !await pair.IsCurrentAsync(store.Packages, known.Identity, cancellationToken) && !await pair.IsUnpublishedAsync(store.Packages, known.Identity, cancellationToken))
            {
                stale++;
                await bulk.AddAsync(pair.Name, pair.Rev, cancellationToken);
            }
        }

        await bulk.FlushAsync(cancellationToken);
        found = found with { Listed = listed, Held = held, Missing = missing, Stale = stale, Vanished = vanished, HeldBack = FindDoubt(vanished, held, listed, upstreamCount) };
        if (found.HeldBack is null)
        {
            // Only asked for: a package is removed after two 404s, as any other.
            await bulk.AddAllAsync(doubted.ToAsyncEnumerable(), cancellationToken);
        }

        return found;
    }

    private string? FindDoubt(long vanished, long held, long listed, long? upstreamCount)
    {
        if (RemovalBreaker.FindReason(vanished, held, listed, upstreamCount) is not { } reason)
        {
            return null;
        }

        if (options.AcceptRemovals)
        {
            LogAccepted(vanished, reason);
            return null;
        }

        LogHeldBack(vanished, reason);
        return reason;
    }

    [LoggerMessage(EventIds.Mirror + 230, LogLevel.Information, "Compared with the upstream's list of {Listed}: {Held} held, {Missing} missing, {Stale} stale, {Vanished} vanished")]
    private partial void LogReconciled(long listed, long held, long missing, long stale, long vanished);

    [LoggerMessage(EventIds.Mirror + 231, LogLevel.Error, "Removals are held back, {Vanished} packages stay as they are: {Reason}; if that is right, run npm-mirror reconcile --accept-removals")]
    private partial void LogHeldBack(long vanished, string reason);

    [LoggerMessage(EventIds.Mirror + 232, LogLevel.Warning, "Removals go on as acceptRemovals says, {Vanished} packages are asked for: {Reason}")]
    private partial void LogAccepted(long vanished, string reason);
}
