using NpmMirror.Upstream;

namespace NpmMirror.Feeds;

/// <summary>The list of everything at a registry without a feed: by <c>_all_docs</c>, else by the classic <c>/-/all</c>.</summary>
internal sealed class PackageList(RegistryClient client)
{
    /// <summary>Everything the upstream lists, in its own order, streamed; without revs where it tells none.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.UpstreamMalformed"/>: it has no such list.</exception>
    public IAsyncEnumerable<ListedPackage> ReadAsync(CancellationToken cancellationToken) =>
        new FeedRequests(client, client.BaseUrl).ListAllAsync(cancellationToken);
}
