using Microsoft.Extensions.Logging;
using NpmMirror.Mirroring;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Following;

/// <summary>One life of a mirror: everything that a process has in memory, over a store that outlives it.</summary>
internal sealed class SimulatedMirror : IAsyncDisposable
{
    private readonly ByteBudget _budget = new(64 * 1024 * 1024);
    private readonly RegistryClient _client;
    private readonly TarballDownloads _tarballs;
    private readonly PackageSync _sync;
    private readonly ReadThrough _readThrough;
    private readonly RegistryMirror _mirror;

    internal SimulatedMirror(FakeRegistry upstream, MemoryStore store, MirrorOptions options, FeedOptions feed, long writesToLive, FakeClock clock, ILoggerFactory loggers)
    {
        (var own, Process) = CrashingStore.Over(store, writesToLive);
        // Longer than the clock leaps: what takes a real millisecond must not look like a request that hangs.
        var clientOptions = new RegistryClientOptions { BaseUrl = upstream.Url, Concurrency = options.Concurrency, Timeout = feed.Timeout, ConnectTimeout = feed.Timeout };
        _client = new RegistryClient(clientOptions, _budget, clock, loggers.CreateLogger("NpmMirror.Upstream"));
        _tarballs = new TarballDownloads(own, new MemoryBlobStore(clock), _client, options, clock, loggers.CreateLogger<TarballDownloads>());
        _sync = new PackageSync(own, _client, _tarballs, new DefaultBase(options), options, clock, loggers.CreateLogger<PackageSync>());
        var queue = new SyncQueue(own, _sync, options, clock, loggers.CreateLogger<SyncQueue>());
        var scope = new PackageScope(options);
        _readThrough = new ReadThrough(own, _sync, queue, scope, options, clock, loggers.CreateLogger<ReadThrough>());
        _mirror = new RegistryMirror(own, _client, queue, _readThrough, scope, FindFeedAsync, options, clock, loggers);

        Task<IChangeFeed?> FindFeedAsync(CancellationToken cancellationToken) => Task.FromResult<IChangeFeed?>(upstream.Knobs.Feed == FakeFeedDialect.NpmPaged
            ? new PagedChangeFeed(_client, upstream.FeedUrl, feed)
            : new LiveChangeFeed(_client, upstream.FeedUrl, feed));
    }

    internal CrashingStore Process { get; }

    internal Task StartAsync() => _mirror.StartAsync(CancellationToken.None);

    /// <summary>Ends without a further write, as a process does that is killed.</summary>
    public async ValueTask DisposeAsync()
    {
        Process.Kill();
        await _mirror.DisposeAsync();
        await _readThrough.DisposeAsync();
        await _tarballs.DisposeAsync();
        _sync.Dispose();
        _client.Dispose();
        _budget.Dispose();
    }
}
