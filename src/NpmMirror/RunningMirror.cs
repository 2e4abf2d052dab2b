using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Mirroring;
using NpmMirror.Monitoring;
using NpmMirror.Registry;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror;

/// <summary>A mirror that follows and stores in a program without a host: see <see cref="RegistryMirror.StartAsync(MirrorOptions, IMetadataStore?, IBlobStore?, ILoggerFactory?, CancellationToken)"/>.</summary>
public sealed class RunningMirror : IAsyncDisposable
{
    private readonly RegistryClient _upstream;
    private readonly ByteBudget _budget;
    private readonly TarballDownloads _tarballs;
    private readonly PackageSync _sync;
    private readonly RenditionCache _cache;
    private readonly bool _ownsStore;

    private RunningMirror(MirrorOptions options, RegistryClientOptions upstream, IMetadataStore store, bool ownsStore, IBlobStore blobs, ILoggerFactory loggers)
    {
        var time = TimeProvider.System;
        (Store, _ownsStore) = (store, ownsStore);
        _budget = new ByteBudget(options.BudgetBytes, Path.Combine(options.Data, "tmp"));
        _upstream = new RegistryClient(upstream, _budget, time, loggers.CreateLogger("NpmMirror.Upstream"));
        _tarballs = new TarballDownloads(store, blobs, _upstream, options, time, loggers.CreateLogger<TarballDownloads>());
        var defaultBase = new DefaultBase(options);
        _sync = new PackageSync(store, _upstream, _tarballs, defaultBase, options, time, loggers.CreateLogger<PackageSync>());
        var queue = new SyncQueue(store, _sync, options, time, loggers.CreateLogger<SyncQueue>());
        var scope = new PackageScope(options);
        ReadThrough = new ReadThrough(store, _sync, queue, scope, options, time, loggers.CreateLogger<ReadThrough>());
        var probe = new FeedProbe(
            _upstream,
            new FeedOptions { Mode = options.Mode, PollDelay = options.Delay > 0 ? TimeSpan.FromMilliseconds(options.Delay) : options.PollDelay, Timeout = options.UpstreamTimeout },
            loggers.CreateLogger("NpmMirror.Monitor"));
        Mirror = new RegistryMirror(store, _upstream, queue, ReadThrough, scope, cancellationToken => probe.FindAsync(options.Feed, cancellationToken), options, time, loggers);
        _cache = new RenditionCache(store, _budget, defaultBase, options, time);
        _sync.Committed += _cache.Drop;
        Log = new RegistryLog(store, _cache, time, loggers.CreateLogger<RegistryLog>());
    }

    /// <summary>The mirror.</summary>
    public RegistryMirror Mirror { get; }

    /// <summary>The mirror's monitor, one for its whole life.</summary>
    public RegistryMonitor Monitor => Mirror.Monitor;

    /// <summary>The logger of the mirror, category <c>NpmMirror.Mirror</c>.</summary>
    public ILogger Logger => Mirror.Logger;

    /// <summary>What happens to the mirror, from any position on.</summary>
    public RegistryLog Log { get; }

    /// <summary>Where packages are kept.</summary>
    public IMetadataStore Store { get; }

    /// <summary>Finds packages, and brings those that are not held yet.</summary>
    public ReadThrough ReadThrough { get; }

    /// <summary>The sequence up to which everything was handled; zero at first.</summary>
    public ValueTask<Sequence> GetLastSequenceAsync(CancellationToken cancellationToken) => Mirror.GetLastSequenceAsync(cancellationToken);

    /// <summary>Stops, and closes what was opened by starting it.</summary>
    public async ValueTask DisposeAsync()
    {
        await Mirror.DisposeAsync();
        Log.EndWaiting();
        await Log.StopAsync(CancellationToken.None);
        Log.Dispose();
        _cache.Dispose();
        await _tarballs.DisposeAsync();
        _sync.Dispose();
        _upstream.Dispose();
        if (_ownsStore)
        {
            await Store.DisposeAsync();
        }

        _budget.Dispose();
    }

    internal static async Task<RunningMirror> StartAsync(MirrorOptions options, IMetadataStore? store, IBlobStore? blobs, ILoggerFactory? loggers, CancellationToken cancellationToken)
    {
        if (MirrorOptionsValidator.FindFaults(options).ToList() is { Count: > 0 } faults)
        {
            throw new MirrorException(MirrorFault.Configuration, string.Join(" ", faults));
        }

        options.TakeCouch();
        loggers ??= NullLoggerFactory.Instance;
        var npm = NpmConfig.Load(NpmSurroundings.OfThisProcess(TimeProvider.System));
        var upstream = npm.ToClientOptions(await npm.FindUpstreamAsync(options.Upstream, cancellationToken)) with
        {
            Timeout = options.UpstreamTimeout,
            PackumentMaxBytes = options.PackumentMaxBytes,
            TarballMaxBytes = options.TarballMaxBytes,
            TarballHosts = [.. options.TarballHosts],
            Concurrency = options.Concurrency,
            IsOffline = options.Offline,
        };
        var isOwn = store is null;
        store ??= new MetadataEngines().Create(options.Store, options.Data, TimeProvider.System, loggers);
        if (isOwn)
        {
            await store.OpenAsync(cancellationToken);
        }

        var running = new RunningMirror(options, upstream, store, isOwn, blobs ?? new FileBlobStore(options.Data, loggers.CreateLogger<FileBlobStore>()), loggers);
        await running.Log.StartAsync(cancellationToken);
        await running.Mirror.StartAsync(cancellationToken);
        return running;
    }
}
