using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Hosting;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Tarballs;
using NpmMirror.Testing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Syncing;

/// <summary>A fake upstream, a store in memory and the parts of a mirror between them, on a clock that a test moves.</summary>
internal sealed class MirrorBench : IAsyncDisposable
{
    private readonly NpmMirror.Hosting.Mirror _mirror;

    private MirrorBench(FakeRegistry upstream, MirrorOptions options, bool isClockReal, TimeProvider clientTime, string? host)
    {
        Upstream = upstream;
        Options = options;
        Clock = clientTime as FakeClock ?? new FakeClock();
        var time = isClockReal ? TimeProvider.System : (TimeProvider)Clock;
        // Longer than the leaps of a clock that the client shares with the rest: a real millisecond of work must not look like a request that hangs.
        var timeout = time == clientTime ? TimeSpan.FromHours(1) : TimeSpan.FromSeconds(30);
        Store = new MemoryStore(time);
        Client = new RegistryClient(ClientOptions(upstream.Url, host) with { ConnectTimeout = timeout, Timeout = timeout }, Budget, clientTime, NullLogger.Instance);
        _mirror = new NpmMirror.Hosting.Mirror(options, new MirrorParts(Store, new MemoryBlobStore(time), Client, _ => Task.FromResult<IChangeFeed?>(null), Budget, NpmMirror.Diagnostics.Telemetry.Create(this)) { IsFollowed = () => IsFollowed() }, time, NullLoggerFactory.Instance);
    }

    public FakeRegistry Upstream { get; }

    public FakeClock Clock { get; }

    public MirrorOptions Options { get; }

    public ByteBudget Budget { get; } = new(256 * 1024 * 1024);

    public MemoryStore Store { get; }

    public RegistryClient Client { get; }

    public TarballDownloads Tarballs => _mirror.Tarballs;

    public KnownUpstream Known => _mirror.Known;

    public PackageNews News => _mirror.News;

    /// <summary>Whether a live feed tells of every change.</summary>
    public Func<bool> IsFollowed { get; set; } = () => false;

    public PackageSync Sync => _mirror.Sync;

    public SyncQueue Queue => _mirror.Queue;

    public ReadThrough ReadThrough => _mirror.ReadThrough;

    private static CancellationToken None => TestContext.Current.CancellationToken;

    public static async Task<MirrorBench> StartAsync(MirrorOptions? options = null, bool isClockReal = false, TimeProvider? clientTime = null, string? host = null) =>
        new(await FakeRegistry.StartAsync(cancellationToken: None), options ?? new MirrorOptions(), isClockReal, clientTime ?? TimeProvider.System, host);

    /// <summary>A mirror over these parts that follows the fake upstream's feed, or none.</summary>
    public RegistryMirror Mirror(bool hasFeed = true) => Mirror(hasFeed ? Upstream.FeedUrl.AbsoluteUri : "none");

    /// <summary>The same with the option <c>feed</c>.</summary>
    public RegistryMirror Mirror(string feed)
    {
        var probe = new FeedProbe(Client, new FeedOptions { Mode = Options.Mode, PollDelay = TimeSpan.FromMilliseconds(50) }, NullLogger.Instance);
        var mirror = new RegistryMirror(Store, Client, Known, Queue, News, new PackageScope(Options), token => probe.FindAsync(feed, token), Options, TimeProvider.System, NullLoggerFactory.Instance);
        IsFollowed = () => mirror.IsFollowed;
        return mirror;
    }

    public Task<SyncResult> SyncAsync(string name, QueueItem? item = null) => Sync.SyncAsync(PackageName.Parse(name), item, None);

    /// <summary>An item as the queue would hand it out.</summary>
    public QueueItem Item(string name, string? wantedRev = null) => new()
    {
        Name = PackageName.Parse(name),
        Priority = QueuePriority.Change,
        DueAt = Clock.GetUtcNow(),
        QueuedAt = Clock.GetUtcNow(),
        WantedRev = wantedRev,
    };

    public async Task<PackageRow?> RowAsync(string name) => await Store.Packages.FindAsync(PackageName.Parse(name), None);

    /// <summary>The document as stored, decompressed.</summary>
    public async Task<byte[]> DocumentAsync(string name)
    {
        var stored = await Store.Packages.ReadAsync(PackageName.Parse(name), None);
        await using var decoded = DocumentCodecs.OpenDecoded(PackageName.Parse(name), stored!.Document);
        using var copy = new MemoryStream();
        await decoded.CopyToAsync(copy, None);
        return copy.ToArray();
    }

    public async Task<List<RegistryEvent>> EventsAsync()
    {
        var events = new List<RegistryEvent>();
        await foreach (var row in Store.Log.ReadLogAsync(LogPosition.Zero, None))
        {
            events.Add(EventPayload.FromRow(row)!);
        }

        return events;
    }

    /// <summary>Towards the fake upstream, by its address or by a host's name that leads there, as all names do.</summary>
    private static RegistryClientOptions ClientOptions(Uri upstream, string? host)
    {
        var options = new RegistryClientOptions { BaseUrl = upstream };
        return host is null ? options : options with
        {
            BaseUrl = new UriBuilder(upstream) { Host = host }.Uri,
            Resolve = (_, _) => Task.FromResult<System.Net.IPAddress[]>([System.Net.IPAddress.Loopback]),
        };
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        // Fetched documents are given back, in every test.
        await Eventually.Async(() => Budget.UsedBytes == 0);
        await Upstream.DisposeAsync();
    }
}
