using Microsoft.Extensions.Logging;
using NpmMirror.Mirroring;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Maintenance;

/// <summary>
/// Whether the mirror holds what the upstream lists, in the listed revisions: the comparison of a reconciliation, but it only looks. What is queued already
/// is on its way and no finding.
/// </summary>
public sealed class Completeness(IMetadataStore store, RegistryClient upstream, FindFeed findFeed, PackageScope scope, MirrorOptions options, ILogger<Completeness> logger)
{
    /// <summary>Compares, in bounded memory; whatever it finds is told.</summary>
    /// <exception cref="MirrorException">The upstream has no list, or it cannot be read to its end.</exception>
    internal async Task RunAsync(VerifyRequest request, VerifyTally tally, CancellationToken cancellationToken)
    {
        var data = Path.GetFullPath(options.Data);
        var folder = Path.Combine(data, "tmp");
        using var files = new UnfinishedFiles(folder, new DurableFolders(data), logger);
        using var spool = new ListSpool(folder, files);
        await foreach (var (id, rev) in (await FindListAsync(cancellationToken)).WithCancellation(cancellationToken))
        {
            if (PackageName.TryParse(id, out var name))
            {
                spool.Add(name, rev);
            }
        }

        await foreach (var pair in ListJoin.JoinAsync(spool.ReadSorted(), store, cancellationToken))
        {
            if (Judge(pair) is var (fault, problem) && !await pair.IsUnpublishedAsync(store, upstream.Identity, cancellationToken) && await store.FindQueuedAsync(pair.Name, cancellationToken) is null)
            {
                var failure = request.Repairs is { } repairs && fault != VerifyFault.Vanished ? await repairs.TryMendDocumentAsync(pair.Name, cancellationToken) : "";
                tally.Report(new VerifyFinding(fault, pair.Name.Value, Finding.With(problem, failure), failure is null));
            }
        }
    }

    private async Task<IAsyncEnumerable<ListedPackage>> FindListAsync(CancellationToken cancellationToken)
    {
        if (await upstream.NewRetry().RunAsync(() => findFeed(cancellationToken), cancellationToken) is not { } feed)
        {
            return new PackageList(upstream).ReadAsync(cancellationToken);
        }

        // Asking the feed for its name is what makes revs comparable.
        await upstream.NewRetry().RunAsync(() => new FeedStart(store, upstream, options).AskAsync(feed, cancellationToken), cancellationToken);
        return feed.ListAllAsync(cancellationToken);
    }

    private (VerifyFault Fault, string Problem)? Judge(ListPair pair) => pair switch
    {
        { IsListed: true, Mark: null } => scope.IsWantedAhead(pair.Name) ? (VerifyFault.NotHeld, "The upstream lists it, and it is not held.") : null,
        { IsListed: true, IsRemoved: true } => (VerifyFault.Stale, "The upstream lists it, and it is in the graveyard."),
        { IsListed: true, Mark: { } mark } => pair.IsCurrent(upstream.Identity) ? null : (VerifyFault.Stale, $"The upstream lists revision {pair.Rev ?? "(none)"}, held is {mark.Rev ?? "(none)"}."),
        { IsHeld: true } => (VerifyFault.Vanished, "It is held, and the upstream does not list it; npm-mirror reconcile asks for it."),
        _ => null,
    };
}
