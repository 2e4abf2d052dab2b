using System.Diagnostics.Metrics;
using NpmMirror.Searching;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Hosting;

/// <summary>The opened parts of a mirror: its engines, the client of the upstream, and the way to find its feed.</summary>
/// <param name="Store">The opened metadata store.</param>
/// <param name="Blobs">The store of tarballs.</param>
/// <param name="Upstream">The client of the upstream.</param>
/// <param name="FindFeed">Finds the upstream's feed.</param>
/// <param name="Budget">The memory for raw documents; the same one the client uses.</param>
/// <param name="Meter">The meter of this mirror.</param>
internal sealed record MirrorParts(IMetadataStore Store, IBlobStore Blobs, RegistryClient Upstream, Following.FindFeed FindFeed, ByteBudget Budget, Meter Meter) : IAsyncDisposable
{
    /// <summary>False if the caller opened the store, and closes it.</summary>
    internal bool OwnsStore { get; init; } = true;

    /// <summary>False if the caller made the blob store.</summary>
    internal bool OwnsBlobs { get; init; } = true;

    /// <summary>Whether a live feed tells of every change, for tests; null: as the mirror itself knows.</summary>
    internal Func<bool>? IsFollowed { get; init; }

    /// <summary>Whether other nodes may work on the same store, so that one of them has to lead.</summary>
    internal bool IsShared { get; init; }

    /// <summary>The search index, not opened yet; null for none.</summary>
    internal ISearchIndex? Search { get; init; }

    /// <summary>Held while this process follows into the folder; null if it does not.</summary>
    internal FileStream? FollowLock { get; init; }

    /// <summary>Closes the parts that were opened for this mirror.</summary>
    public async ValueTask DisposeAsync()
    {
        Upstream.Dispose();
        if (Search is not null)
        {
            await Search.DisposeAsync();
        }

        if (OwnsStore)
        {
            await Store.DisposeAsync();
        }

        if (OwnsBlobs)
        {
            (Blobs as IDisposable)?.Dispose();
        }

        Budget.Dispose();
        Meter.Dispose();
        FollowLock?.Dispose();
    }
}
