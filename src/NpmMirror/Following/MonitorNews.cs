using NpmMirror.Log;
using NpmMirror.Storage;
using NpmMirror.Syncing;

namespace NpmMirror.Following;

/// <summary>Tells a monitor's listeners how a try ended, for a feed, a client or an administrator alike.</summary>
internal sealed class MonitorNews(IPackageTable packages, RegistryMonitor monitor)
{
    public async ValueTask TellAsync(SyncAttempt attempt, CancellationToken cancellationToken)
    {
        var name = attempt.Item.Name;
        switch (attempt.Result)
        {
            case SyncResult.Stored { IsNew: true }:
                await monitor.TellAsync(new MonitorEvent.Appeared(name, await ReadMetadataAsync(name, cancellationToken)), cancellationToken);
                break;
            case SyncResult.Stored { Events: { Count: > 0 } events }:
                var isPublish = events.Any(told => told is VersionPublished);
                await monitor.TellAsync(new MonitorEvent.Updated(name, await ReadMetadataAsync(name, cancellationToken)) { IsPublish = isPublish }, cancellationToken);
                break;
            // The removal of a package that was never held is no news for listeners.
            case SyncResult.Removed { Row.Generation: > 1 }:
                await monitor.TellAsync(new MonitorEvent.Deleted(name), cancellationToken);
                break;
        }

        if (attempt.Error is { } error)
        {
            await monitor.TellAsync(new MonitorEvent.Failed(error, name), cancellationToken);
        }
    }

    private async Task<ReadOnlyMemory<byte>> ReadMetadataAsync(PackageName name, CancellationToken cancellationToken)
    {
        if (!monitor.IsObserved || await packages.ReadAsync(name, cancellationToken) is not { } stored)
        {
            return default;
        }

        await using var decoded = DocumentCodecs.OpenDecoded(name, stored.Document);
        using var copy = new MemoryStream(stored.Document.RawSizeBytes);
        await decoded.CopyToAsync(copy, cancellationToken);
        return copy.GetBuffer().AsMemory(0, (int)copy.Length);
    }
}
