using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Maintenance;
using NpmMirror.Options;
using NpmMirror.Renditions;
using NpmMirror.Searching;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Tarballs;
using NpmMirror.Upstream;
using NpmMirror.Visibility;

namespace NpmMirror.Hosting;

/// <summary>
/// One mirror, opened. Its parts are put together here and nowhere else: for the program, for a host (<see cref="NpmMirrorServices.AddNpmMirror(Microsoft.Extensions.DependencyInjection.IServiceCollection, MirrorOptions)"/>),
/// and for a program that has none.
/// </summary>
/// <example>
/// <code>
/// await using var mirror = await Mirror.StartAsync(new MirrorOptions { Upstream = "https://registry.example.org/", Metadata = MetadataMode.All });
/// await foreach (var told in mirror.Log.FollowAsync(LogPosition.Zero, cancellationToken))
/// {
///     Console.WriteLine($"{told.Position} {told.Package} {told.GetType().Name}");
/// }
/// </code>
/// </example>
public sealed partial class Mirror : IAsyncDisposable
{
    private readonly MirrorParts _parts;
    private readonly ILogger _logger;
    private readonly IReadOnlyList<IHostedService> _services;
    private readonly IReadOnlyList<IndexFollower> _search = [];
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _started;
    private int _disposed;

    internal Mirror(MirrorOptions options, MirrorParts parts, TimeProvider time, ILoggerFactory loggers)
    {
        (Options, _parts, Time, Loggers) = (options, parts, time, loggers);
        var (store, upstream) = (parts.Store, parts.Upstream);
        Known = new KnownUpstream(upstream.BaseUrl);
        Scope = new PackageScope(options);
        Tarballs = new TarballDownloads(store.Tarballs, parts.Blobs, upstream, options, time, loggers.CreateLogger<TarballDownloads>(), Meter);
        Sync = new PackageSync(store, upstream, Known, Tarballs, News, options, time, loggers.CreateLogger<PackageSync>(), Meter);
        Queue = new SyncQueue(store, Sync, options, time, loggers.CreateLogger<SyncQueue>(), Meter);
        Registry = new RegistryMirror(store, upstream, Known, Queue, News, Scope, parts.FindFeed, options, time, loggers, Meter, parts.IsShared);
        _logger = Registry.Logger;
        ReadThrough = new ReadThrough(store, Sync, Queue, Scope, parts.IsFollowed ?? (() => Registry.IsFollowed), options, time, loggers.CreateLogger<ReadThrough>(), Meter);
        Renditions = new RenditionCache(store.Packages, News, parts.Budget, options, time, Meter);
        Visibility = new PackageVisibility(store.Packages, News, options, Meter);
        Log = new RegistryLog(store.Log, News, time, loggers.CreateLogger<RegistryLog>());
        TarballUsage = new TarballUsage(store.Tarballs, time, loggers.CreateLogger<TarballUsage>());
        DocumentRepair = new DocumentRepair(store.Queue, Queue, Sync, time, loggers.CreateLogger<DocumentRepair>());
        Attestations = new KeptAttestations(store.Kept, store.Packages, options, time);
        Collector = new GarbageCollector(store, parts.Blobs, options, time);
        if (parts.Search is { } index)
        {
            var follower = new IndexFollower(index, store, Log, Visibility, parts.Budget, options, time, loggers.CreateLogger<IndexFollower>());
            (Search, _search) = (new PackageSearch(index, follower, Visibility), [follower]);
        }

        MirrorGauges.Add(this);
        _services =
        [
            Log,
            .. _search,
            Registry,
            new WritableWatch(store, parts.Blobs, time, loggers.CreateLogger<WritableWatch>()),
            new PauseWatch(store.Notes, upstream, Meter, time, loggers.CreateLogger<PauseWatch>()),
            .. parts.IsShared ? [new NodeWatch(store.Notes, upstream, time)] : (IHostedService[])[],
            new GarbageSchedule(Collector, options, time, loggers.CreateLogger<GarbageSchedule>()),
        ];
    }

    /// <summary>The mirror's options.</summary>
    public MirrorOptions Options { get; }

    /// <summary>Follows the upstream, sweeps if there is no feed, catches up once.</summary>
    internal RegistryMirror Registry { get; }

    /// <summary>The mirror's monitor, one for its whole life.</summary>
    public RegistryMonitor Monitor => Registry.Monitor;

    /// <summary>The mirror's events, from any position on.</summary>
    public RegistryLog Log { get; }

    /// <summary>Finds packages by their names and words; null if the mirror was made without a search index.</summary>
    public IPackageSearch? Search { get; }

    /// <summary>Finds packages, and brings those that are not held yet.</summary>
    internal ReadThrough ReadThrough { get; }

    /// <summary>Where packages are kept.</summary>
    public IMetadataStore Store => _parts.Store;

    /// <summary>Where tarballs are kept.</summary>
    public IBlobStore Blobs => _parts.Blobs;

    /// <summary>The client towards the upstream.</summary>
    internal RegistryClient Upstream => _parts.Upstream;

    /// <summary>The logger of the mirror, category <c>NpmMirror.Mirror</c>.</summary>
    public ILogger Logger => _logger;

    /// <summary>Verifies the held packages; without repairs it sends no requests.</summary>
    public Verifier Verifier => new(Store, Blobs, Budget, Options, Time);

    /// <summary>Fetches damaged data, which <see cref="Verifier"/> finds, anew.</summary>
    public Repairs Repairs => new(Store, Sync, Tarballs, Budget);

    /// <summary>Compares the held packages with the upstream's list.</summary>
    internal Completeness Completeness => new(Store, Upstream, Known, _parts.FindFeed, Scope, Options, Loggers.CreateLogger<Completeness>());

    /// <summary>Deletes unneeded data.</summary>
    public GarbageCollector Collector { get; }

    /// <summary>Fails if a part of a started mirror met an unexpected error, which is logged; never completes otherwise.</summary>
    public Task Failed => _failed.Task;

    /// <summary>News of packages.</summary>
    internal PackageNews News { get; } = new();

    /// <summary>The known state of the upstream.</summary>
    internal KnownUpstream Known { get; }

    internal ByteBudget Budget => _parts.Budget;

    /// <summary>Where everything of this mirror is measured, and of no other.</summary>
    internal Meter Meter => _parts.Meter;

    internal TimeProvider Time { get; }

    internal ILoggerFactory Loggers { get; }

    internal PackageScope Scope { get; }

    internal TarballDownloads Tarballs { get; }

    internal PackageSync Sync { get; }

    internal SyncQueue Queue { get; }

    internal RenditionCache Renditions { get; }

    internal PackageVisibility Visibility { get; }

    internal TarballUsage TarballUsage { get; }

    internal DocumentRepair DocumentRepair { get; }

    internal KeptAttestations Attestations { get; }

    /// <summary>Follows and stores, in one call.</summary>
    /// <param name="options">The registry to mirror, and how. Without an upstream: the registry that npm is configured for.</param>
    /// <param name="configure">Sets more than the options do: another engine, store, clock or loggers.</param>
    /// <param name="cancellationToken">Ends the starting.</param>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: the options have faults, and the message tells all of them; or the store refuses.</exception>
    public static Task<Mirror> StartAsync(MirrorOptions options, Action<MirrorBuilder>? configure = null, CancellationToken cancellationToken = default)
    {
        var builder = new MirrorBuilder(options);
        configure?.Invoke(builder);
        return builder.StartAsync(cancellationToken);
    }

    /// <summary>Starts following, working and the watches over them. Trouble with the upstream is logged and retried.</summary>
    /// <exception cref="MirrorException">The store refuses.</exception>
    internal async Task StartAsync(CancellationToken cancellationToken)
    {
        for (; _started < _services.Count; _started++)
        {
            await _services[_started].StartAsync(cancellationToken);
            if (_services[_started] is BackgroundService { ExecuteTask: { } running })
            {
                _ = WatchAsync(running);
            }
        }
    }

    /// <summary>Stops: finishes writes that have begun, and begins nothing more.</summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        while (_started > 0)
        {
            await _services[--_started].StopAsync(cancellationToken);
        }

        Log.EndWaiting();
    }

    /// <summary>Stops, and closes everything that it opened.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await StopAsync(CancellationToken.None);
        await Registry.DisposeAsync();
        await ReadThrough.DisposeAsync();
        foreach (var service in _services.OfType<BackgroundService>())
        {
            service.Dispose();
        }

        Attestations.Dispose();
        await TarballUsage.DisposeAsync();
        Renditions.Dispose();
        Queue.Dispose();
        await Tarballs.DisposeAsync();
        Sync.Dispose();
        await _parts.DisposeAsync();
    }

    private async Task WatchAsync(Task running)
    {
        try
        {
            await running;
        }
        catch (OperationCanceledException)
        {
            // Stopped.
        }
        catch (Exception unexpected)
        {
            LogFailed(unexpected);
            _failed.TrySetException(unexpected);
        }
    }

    [LoggerMessage(EventIds.Hosting + 2, LogLevel.Critical, "A part of the mirror failed; please report it")]
    private partial void LogFailed(Exception unexpected);
}
