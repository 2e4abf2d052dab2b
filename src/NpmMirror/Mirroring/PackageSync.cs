using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

/// <summary>The one way a package enters the store: fetch, parse once, diff, write atomically.</summary>
public sealed class PackageSync
{
    /// <summary>Told of each commit before <see cref="SyncAsync"/> returns, so that the process that wrote never serves what was before.</summary>
    public event Action<PackageName>? Committed;

    /// <summary>Brings one package to what the upstream says now.</summary>
    /// <param name="name">The package.</param>
    /// <param name="item">What the queue knows of it; null for a fetch that nobody queued.</param>
    /// <param name="cancellationToken">Ends the fetch; what has begun to be written is finished.</param>
    /// <exception cref="MirrorException">Upstream or store trouble; nothing was written.</exception>
    public Task<SyncResult> SyncAsync(PackageName name, QueueItem? item, CancellationToken cancellationToken) => throw new NotImplementedException();

    private void OnCommitted(PackageName name) => Committed?.Invoke(name);
}
