using Microsoft.Extensions.Logging;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Options;
using NpmMirror.Reconciling;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Upstream;

namespace NpmMirror.Maintenance;

/// <summary>
/// Whether the mirror holds the packages that the upstream lists, in the listed revisions: the comparison of a reconciliation, without its effects. A queued
/// package is no finding.
/// </summary>
internal sealed class Completeness(IMetadataStore store, RegistryClient upstream, KnownUpstream known, FindFeed findFeed, PackageScope scope, MirrorOptions options, ILogger<Completeness> logger)
{
    /// <summary>Compares, in bounded memory, and tells each finding.</summary>
    /// <exception cref="MirrorException">The upstream has no list, or it cannot be read to its end.</exception>
    internal async Task RunAsync(VerifyRequest request, VerifyTally tally, CancellationToken cancellationToken)
    {
        var data = Path.GetFullPath(options.Data);
        var folder = Path.Combine(data, "tmp");
        using var files = new UnfinishedFiles(folder, new DurableFolders(data), logger);
        using var spool = new ListSpool(folder, files);
        var (listed, upstreamCount) = await SpoolAsync(spool, cancellationToken);
        var (held, vanished) = (0L, 0L);
        await foreach (var pair in ListJoin.JoinAsync(spool.ReadSorted(), store.Packages, cancellationToken))
        {
            listed += pair.IsListed ? 1 : 0;
            held += pair.IsHeld ? 1 : 0;
            vanished += pair is { IsHeld: true, IsListed: false } ? 1 : 0;
            if (await JudgeAsync(pair, cancellationToken) is var (fault, problem) && !await pair.IsUnpublishedAsync(store.Packages, known.Identity, cancellationToken) && await store.Queue.FindQueuedAsync(pair.Name, cancellationToken) is null)
            {
                var failure = request.Repairs is { } repairs && fault != VerifyFault.Vanished ? await repairs.TryMendDocumentAsync(pair.Name, cancellationToken) : "";
                tally.Report(new VerifyFinding(fault, pair.Name.Value, Finding.With(problem, failure), failure is null));
            }
        }

        tally.HeldBack = options.AcceptRemovals ? null : RemovalBreaker.FindReason(vanished, held, listed, upstreamCount);
    }

    /// <summary>Reads the whole list. Returns how many ids are no names, and how many documents the upstream says it has.</summary>
    private async Task<(long Others, long? UpstreamCount)> SpoolAsync(ListSpool spool, CancellationToken cancellationToken)
    {
        var feed = await upstream.NewRetry().RunAsync(() => findFeed(cancellationToken), cancellationToken);
        if (feed is null)
        {
            try
            {
                return (await Reconciler.SpoolAsync(new PackageList(upstream).ReadAsync(cancellationToken), spool, cancellationToken), null);
            }
            catch (MirrorException e) when (e.Fault == MirrorFault.UpstreamMalformed)
            {
                throw Reconciler.NoList(scope, e);
            }
        }

        // Asking the feed for its name makes revs comparable.
        var info = await upstream.NewRetry().RunAsync(() => new FeedStart(store.Notes, known).AskAsync(feed, cancellationToken), cancellationToken);
        return (await Reconciler.SpoolAsync(feed.ListAllAsync(cancellationToken), spool, cancellationToken), info.DocumentCount);
    }

    private async ValueTask<(VerifyFault Fault, string Problem)?> JudgeAsync(ListPair pair, CancellationToken cancellationToken) => pair switch
    {
        { IsListed: true, Mark: null } => scope.IsWantedAhead(pair.Name) ? (VerifyFault.NotHeld, "The upstream lists it, and it is not held.") : null,
        { IsListed: true, IsRemoved: true } => (VerifyFault.Stale, "The upstream lists it, and it is in the graveyard."),
        { IsListed: true, Mark: { } mark } => await pair.IsCurrentAsync(store.Packages, known.Identity, cancellationToken) ? null : (VerifyFault.Stale, Difference(pair, mark)),
        { IsHeld: true } => (VerifyFault.Vanished, "It is held, and the upstream does not list it; npm-mirror reconcile asks for it."),
        _ => null,
    };

    private static string Difference(ListPair pair, PackageMark mark) => pair is { Rev: null, ModifiedAt: { } modified }
        ? $"The upstream lists a change of {modified:u}; the held document has another."
        : $"The upstream lists revision {pair.Rev ?? "(none)"}, held is {mark.Rev ?? "(none)"}.";
}
