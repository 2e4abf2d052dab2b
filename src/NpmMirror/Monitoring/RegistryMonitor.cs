using Microsoft.Extensions.Logging;
using NpmMirror.Upstream;

namespace NpmMirror.Monitoring;

/// <summary>Follows a feed and tells what changed; knows no store.</summary>
public sealed class RegistryMonitor : IAsyncDisposable
{
    /// <summary>Creates a monitor; it does nothing before <see cref="Start"/>.</summary>
    public RegistryMonitor(IChangeFeed feed, IChangeHandler handler, MirrorOptions options, TimeProvider time, ILogger logger) => throw new NotImplementedException();

    /// <summary>Whether the last request for changes was accepted and nothing failed since.</summary>
    public bool IsConnected => throw new NotImplementedException();

    /// <summary>Whether anybody listens to events that carry metadata, so that reading it is worth while.</summary>
    public bool IsObserved => throw new NotImplementedException();

    /// <summary>Starts following behind a sequence; null: from the feed's head.</summary>
    public void Start(Sequence? since = null) => throw new NotImplementedException();

    /// <summary>Stops: no further request, no further event but the last.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Tells an event that happened outside a page: a retry that came through, a read-through.</summary>
    public ValueTask TellAsync(MonitorEvent monitorEvent, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
