using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Copying;
using NpmMirror.Diagnostics;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Searching;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Upstream;

namespace NpmMirror.Hosting;

/// <summary>
/// The parts of a mirror, before it is opened. All have defaults: the default engine keeps metadata in <see cref="MirrorOptions.Data"/>, tarballs
/// are files beside it, and the upstream comes from the options, the store or npm's own configuration.
/// </summary>
public sealed class MirrorBuilder
{
    private readonly List<IMetadataEngine> _engines = [];
    private readonly List<IBlobEngine> _blobEngines = [];
    private IMetadataStore? _store;
    private IBlobStore? _blobs;
    private ILoggerFactory? _loggers;
    private TimeProvider? _time;
    private SearchIndexMaker? _search;

    /// <summary>Begins with options, which are checked when the mirror is opened.</summary>
    public MirrorBuilder(MirrorOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        // The mirror notes here what it finds out, its upstream for example. The caller's may open another mirror.
        Options = options.Copy();
    }

    /// <summary>The mirror's options: a copy of those that it was made with.</summary>
    public MirrorOptions Options { get; }

    /// <summary>How the upstream is reached, for tests; null: as <see cref="Options"/> and npm's configuration say.</summary>
    internal RegistryClientOptions? Upstream { get; set; }

    /// <summary>Whether a live feed tells of every change, for tests; null: as the mirror itself knows.</summary>
    internal Func<bool>? IsFollowed { get; set; }

    /// <summary>Adds an engine that <c>store.engine</c> may name.</summary>
    public MirrorBuilder AddEngine(IMetadataEngine engine)
    {
        _engines.Add(engine);
        return this;
    }

    /// <summary>Adds a place for tarballs that <c>store.blobs</c> may name.</summary>
    public MirrorBuilder AddEngine(IBlobEngine engine)
    {
        _blobEngines.Add(engine);
        return this;
    }

    /// <summary>
    /// Takes an opened store, which stays the caller's to close, in the place of the one that the options name. No lock keeps a second mirror from
    /// following into it: that is the caller's too.
    /// </summary>
    public MirrorBuilder UseStore(IMetadataStore store)
    {
        _store = store;
        return this;
    }

    /// <summary>Takes a place for tarballs, which stays the caller's, instead of the one that the options name.</summary>
    public MirrorBuilder UseBlobs(IBlobStore blobs)
    {
        _blobs = blobs;
        return this;
    }

    /// <summary>
    /// Makes a search index in the data folder and keeps it, whatever engine holds the packages: <see cref="Mirror.Search"/>. It is opened when the mirror starts.
    /// </summary>
    public MirrorBuilder UseSearch(SearchIndexMaker make)
    {
        _search = make;
        return this;
    }

    /// <summary>Logs there: the monitor under <c>NpmMirror.Monitor</c>, the mirror under <c>NpmMirror.Mirror</c>. A host's own loggers need not be given.</summary>
    public MirrorBuilder UseLoggers(ILoggerFactory loggers)
    {
        _loggers = loggers;
        return this;
    }

    /// <summary>Takes another clock than the system's.</summary>
    public MirrorBuilder UseTime(TimeProvider time)
    {
        _time = time;
        return this;
    }

    /// <summary>Opens a mirror that does nothing by itself: to catch up once, to compare once, or to read.</summary>
    /// <exception cref="MirrorException">The options have faults, all of which the message tells; the upstream is not known; or the store refuses.</exception>
    public Task<Mirror> OpenAsync(CancellationToken cancellationToken = default) => OpenAsync(isFollowing: false, cancellationToken);

    /// <summary>Opens a mirror and starts it: it follows and stores until it is disposed of.</summary>
    /// <exception cref="MirrorException">As <see cref="OpenAsync(CancellationToken)"/>; or another process follows into the same folder.</exception>
    public async Task<Mirror> StartAsync(CancellationToken cancellationToken = default)
    {
        var mirror = await OpenAsync(isFollowing: true, cancellationToken);
        try
        {
            await mirror.StartAsync(cancellationToken);
            return mirror;
        }
        catch
        {
            await mirror.DisposeAsync();
            throw;
        }
    }

    /// <summary>Takes a host's loggers and clock, unless others were given.</summary>
    internal MirrorBuilder UseHost(ILoggerFactory loggers, TimeProvider time)
    {
        _loggers ??= loggers;
        _time ??= time;
        return this;
    }

    /// <summary>Refuses options that have faults, and makes their feed's address.</summary>
    internal static void Check(MirrorOptions options)
    {
        if (MirrorOptionsValidator.FindFaults(options).ToList() is { Count: > 0 } faults)
        {
            throw new MirrorException(MirrorFault.Configuration, string.Join(" ", faults));
        }

        options.TakeCouch();
    }

    /// <summary>Opens everything.</summary>
    /// <param name="isFollowing">Whether this process will follow the feed, which one process a data folder does.</param>
    /// <param name="cancellationToken">Ends the opening.</param>
    internal async Task<Mirror> OpenAsync(bool isFollowing, CancellationToken cancellationToken)
    {
        Check(Options);
        var (loggers, time) = (_loggers ?? NullLoggerFactory.Instance, _time ?? TimeProvider.System);
        // Before anything is opened: an invalid place is a fault of the options.
        var blobs = _blobs ?? new BlobEngines(_blobEngines).Create(Options.Store, Options.Data, time, loggers);
        MirrorParts? parts = null;
        try
        {
            parts = _store is null ? await OpenOwnAsync(isFollowing, blobs, loggers, time, cancellationToken) : await OpenGivenAsync(_store, isFollowing, blobs, loggers, time, cancellationToken);
            return new Mirror(Options, parts, time, loggers);
        }
        catch
        {
            await (parts?.DisposeAsync() ?? ValueTask.CompletedTask);
            if (parts is null && blobs != _blobs)
            {
                (blobs as IDisposable)?.Dispose();
            }

            throw;
        }
    }

    private async Task<MirrorParts> OpenGivenAsync(IMetadataStore store, bool isFollowing, IBlobStore blobs, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken)
    {
        await RecallUpstreamAsync(store, isFollowing, loggers, cancellationToken);
        return await OpenPartsAsync(store, blobs, await FindUpstreamAsync(cancellationToken), loggers, time, cancellationToken);
    }

    /// <summary>A store knows its upstream, and packages of two are not mixed.</summary>
    private async Task RecallUpstreamAsync(IMetadataStore store, bool isFollowing, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var noted = await UpstreamChoice.FindNotedAsync(store.Notes, cancellationToken);
        Options.Upstream = Options.Offline ? noted ?? Options.Upstream : UpstreamChoice.Choose(noted, Options, isFollowing, loggers);
    }

    private async Task<MirrorParts> OpenOwnAsync(bool isFollowing, IBlobStore blobs, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken)
    {
        var engines = new MetadataEngines(_engines);
        var store = engines.Create(Options.Store, Options.Data, time, loggers);
        FileStream? followLock = null;
        try
        {
            // A store knows its upstream. Only for a new one npm is asked, in a folder before anything is made.
            var place = engines.Locate(Options.Store, Options.Data);
            var isThere = place is null or { IsThere: true };
            if (isThere)
            {
                await OpenStoreAsync();
                await RecallUpstreamAsync(store, isFollowing, loggers, cancellationToken);
            }

            var upstream = await FindUpstreamAsync(cancellationToken);
            if (!isThere)
            {
                await OpenStoreAsync();
            }

            return (await OpenPartsAsync(store, blobs, upstream, loggers, time, cancellationToken)) with { OwnsStore = true, FollowLock = followLock };

            async Task OpenStoreAsync()
            {
                followLock = isFollowing && place is not null ? FollowLock.Take(place.Folder) : null;
                await store.OpenAsync(cancellationToken);
            }
        }
        catch
        {
            await store.DisposeAsync();
            followLock?.Dispose();
            throw;
        }
    }

    private async Task<MirrorParts> OpenPartsAsync(IMetadataStore store, IBlobStore blobs, RegistryClientOptions upstream, ILoggerFactory loggers, TimeProvider time, CancellationToken cancellationToken)
    {
        await CopyNote.RequireFinishedAsync(store, cancellationToken);
        await new EarlierMirror(store, time, loggers.CreateLogger("NpmMirror.Mirror")).TakeOverAsync(cancellationToken);
        var instance = upstream.InstanceId ?? await FindInstanceAsync(store, cancellationToken);
        var budget = new ByteBudget(Options.BudgetBytes, Path.Combine(Options.Data, "tmp"));
        // The builder is the scope of this mirror's meter: some parts measure before there is a mirror.
        var meter = Telemetry.Create(scope: this);
        var client = new RegistryClient(upstream with { InstanceId = instance, Meter = meter }, budget, time, loggers.CreateLogger("NpmMirror.Upstream"));
        return new MirrorParts(store, blobs, client, UpstreamChoice.CreateFindFeed(client, Options, loggers), budget, meter) { OwnsStore = false, OwnsBlobs = _blobs is null, IsFollowed = IsFollowed, IsShared = store.IsShared, Search = _search?.Invoke(Options.Data, time) };
    }

    private async Task<RegistryClientOptions> FindUpstreamAsync(CancellationToken cancellationToken) =>
        Upstream is { } given ? UpstreamChoice.WithLimits(given, Options) : await UpstreamChoice.FindAsync(Options, cancellationToken);

    /// <summary>The id that this mirror goes by among mirrors, so that a circle of them is noticed; made once for a store.</summary>
    private async Task<string> FindInstanceAsync(IMetadataStore store, CancellationToken cancellationToken)
    {
        if (await store.Notes.FindNoteAsync(MirrorCursors.Instance, cancellationToken) is { } known)
        {
            return known;
        }

        var instance = Guid.NewGuid().ToString("N");
        if (Options.Offline)
        {
            return instance;
        }

        try
        {
            await store.Notes.SetNoteAsync(MirrorCursors.Instance, instance, cancellationToken);
        }
        catch (MirrorException failure) when (failure.Fault == MirrorFault.StoreReadOnly)
        {
            // A read-only folder is served too; the id then lasts as long as the process.
        }

        return instance;
    }
}
