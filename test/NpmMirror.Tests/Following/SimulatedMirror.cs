using Microsoft.Extensions.Logging;
using NpmMirror.Feeds;
using NpmMirror.Hosting;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Following;

/// <summary>One life of a mirror: everything that a process has in memory, over a store that outlives it.</summary>
internal sealed class SimulatedMirror : IAsyncDisposable
{
    private readonly ByteBudget _budget = new(64 * 1024 * 1024);
    private readonly Mirror _mirror;

    internal SimulatedMirror(FakeRegistry upstream, MemoryStore store, MirrorOptions options, FeedOptions feed, long writesToLive, FakeClock clock, ILoggerFactory loggers, bool isShared = false)
    {
        (var own, Process) = CrashingStore.Over(store, writesToLive);
        // Longer than the clock leaps: a real millisecond of work must not look like a request that hangs.
        var clientOptions = new RegistryClientOptions { BaseUrl = upstream.Url, Concurrency = options.Concurrency, Timeout = feed.Timeout, ConnectTimeout = feed.Timeout };
        var client = new RegistryClient(clientOptions, _budget, clock, loggers.CreateLogger("NpmMirror.Upstream"));
        _mirror = new Mirror(options, new MirrorParts(own, new MemoryBlobStore(clock), client, FindFeedAsync, _budget, NpmMirror.Diagnostics.Telemetry.Create(this)) { OwnsStore = false, IsShared = isShared }, clock, loggers);

        Task<IChangeFeed?> FindFeedAsync(CancellationToken cancellationToken) => Task.FromResult<IChangeFeed?>(upstream.Knobs.Feed == FakeFeedDialect.NpmPaged
            ? new PagedChangeFeed(client, upstream.FeedUrl, feed)
            : new LiveChangeFeed(client, upstream.FeedUrl, feed));
    }

    internal CrashingStore Process { get; }

    internal Task StartAsync() => _mirror.Registry.StartAsync(CancellationToken.None);

    /// <summary>Ends without a further write, as a process does that is killed.</summary>
    public async ValueTask DisposeAsync()
    {
        Process.Kill();
        await _mirror.DisposeAsync();
    }
}
