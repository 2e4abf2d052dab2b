using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Hosting;
using NpmMirror.Maintenance;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Tarballs;
using NpmMirror.Testing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Maintenance;

/// <summary>A mirror of a fake upstream in a folder of its own: database and tarballs are files that a test can damage.</summary>
internal sealed class MaintenanceBench : IAsyncDisposable
{
    private readonly TestFolder _folder = new();
    private readonly ByteBudget _budget = new(64_000_000);
    private readonly FileBlobStore _files;
    private readonly Mirror _mirror;

    private MaintenanceBench(FakeRegistry upstream, MirrorOptions options, Func<IMetadataStore, IMetadataStore>? wrapStore, Func<IBlobStore, IBlobStore>? wrapBlobs)
    {
        (Upstream, Options) = (upstream, options);
        var store = new SqliteStore(Database, Clock);
        _files = new FileBlobStore(_folder.Path, NullLogger<FileBlobStore>.Instance);
        Store = wrapStore?.Invoke(store) ?? store;
        Blobs = wrapBlobs?.Invoke(_files) ?? _files;
        Client = new RegistryClient(new RegistryClientOptions { BaseUrl = upstream.Url }, _budget, TimeProvider.System, NullLogger.Instance);
        _mirror = new Mirror(options, new MirrorParts(Store, Blobs, Client, _ => Task.FromResult<IChangeFeed?>(null), _budget, NpmMirror.Diagnostics.Telemetry.Create(this)), Clock, NullLoggerFactory.Instance);
    }

    public FakeRegistry Upstream { get; }

    public MirrorOptions Options { get; }

    /// <summary>Years ahead of the files' own times, so that every file is old until a test makes it young.</summary>
    public FakeClock Clock { get; } = new(new DateTimeOffset(2040, 1, 1, 12, 0, 0, TimeSpan.Zero));

    public IMetadataStore Store { get; }

    public IBlobStore Blobs { get; }

    public RegistryClient Client { get; }

    public TarballDownloads Tarballs => _mirror.Tarballs;

    public PackageSync Sync => _mirror.Sync;

    public Repairs Repairs => _mirror.Repairs;

    private string Database => System.IO.Path.Combine(_folder.Path, "npm-mirror.sqlite");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static async Task<MaintenanceBench> StartAsync(Action<MirrorOptions>? configure = null, Func<IMetadataStore, IMetadataStore>? wrapStore = null, Func<IBlobStore, IBlobStore>? wrapBlobs = null)
    {
        var options = new MirrorOptions { Tarballs = TarballMode.Eager };
        configure?.Invoke(options);
        var bench = new MaintenanceBench(await FakeRegistry.StartAsync(cancellationToken: Cancelled), options, wrapStore, wrapBlobs);
        await bench.Store.OpenAsync(Cancelled);
        return bench;
    }

    /// <summary>Publishes packages with these versions, and brings them in with their tarballs.</summary>
    public async Task HoldAsync(string name, params string[] versions)
    {
        Upstream.Publish(versions.Aggregate(new FakePackage(name), (package, version) => package.Version(version)));
        await SyncAsync(name);
    }

    public Task<SyncResult> SyncAsync(string name, QueueItem? item = null) => Sync.SyncAsync(PackageName.Parse(name), item, Cancelled);

    /// <summary>Verifies; all findings and the summary.</summary>
    public async Task<(List<VerifyFinding> Findings, VerifySummary Summary)> VerifyAsync(VerifyRequest? request = null)
    {
        var findings = new List<VerifyFinding>();
        var summary = await Verifier.RunAsync((request ?? new VerifyRequest()) with { Found = findings.Add }, Cancelled);
        Assert.Equal(findings.Count, summary.Found);
        return (findings, summary);
    }

    public Verifier Verifier => _mirror.Verifier;

    /// <summary>Collects; all items and the summary.</summary>
    public async Task<(List<CollectedItem> Items, Collected Collected)> CollectAsync(bool isDryRun = false, Action<CollectedItem>? told = null)
    {
        var items = new List<CollectedItem>();
        return (items, await _mirror.Collector.RunAsync(isDryRun, told ?? items.Add, Cancelled));
    }

    public async Task<TarballRow?> RowAsync(string name, string version = "1.0.0") =>
        await Store.Tarballs.FindTarballAsync(PackageName.Parse(name), TarballUrls.FileName(PackageName.Parse(name), version), Cancelled);

    public async Task<bool> IsStoredAsync(TarballRow row) => await Blobs.ExistsAsync(row.Sha512, Cancelled);

    /// <summary>Puts bytes among the blobs that no row names.</summary>
    public async Task<Digest> PutBlobAsync(byte[] bytes)
    {
        await using var writer = await Blobs.CreateAsync(Cancelled);
        await writer.AppendAsync(bytes, Cancelled);
        return await writer.CommitAsync(Cancelled);
    }

    /// <summary>The file of a blob.</summary>
    public string FileOf(Digest sha512) => System.IO.Path.Combine(_folder.Path, "blobs", sha512.Hex[..2], sha512.Hex[2..4], sha512.Hex);

    /// <summary>Makes a blob's file as young as the clock.</summary>
    public void Rejuvenate(Digest sha512) => File.SetLastWriteTimeUtc(FileOf(sha512), Clock.GetUtcNow().UtcDateTime);

    /// <summary>Puts a file among those that are being written, as a process leaves it that dies.</summary>
    public void LeaveUnfinished(string file, int bytes) => File.WriteAllBytes(_folder.File(System.IO.Path.Combine("blobs", "unfinished", file)), new byte[bytes]);

    /// <summary>Changes the database without the store.</summary>
    public void Tamper(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Database};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // The test's own text.
        command.CommandText = sql;
#pragma warning restore CA2100
        Assert.True(command.ExecuteNonQuery() > 0);
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        await Eventually.Async(() => _budget.UsedBytes == 0);
        _files.Dispose();
        await Upstream.DisposeAsync();
        _folder.Dispose();
    }
}
