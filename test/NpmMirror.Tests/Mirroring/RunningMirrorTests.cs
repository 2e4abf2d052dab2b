using NpmMirror.History;
using NpmMirror.Mirroring;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Mirroring;

/// <summary>Follow and store in one call.</summary>
public sealed class RunningMirrorTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Follows_and_stores_in_one_call_and_gives_monitor_logger_sequence_and_log()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var running = await RegistryMirror.StartAsync(Options(registry), cancellationToken: TestContext.Current.CancellationToken);
        await using var events = running.Log.FollowAsync(LogPosition.Zero, TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.True(await events.MoveNextAsync());
        Assert.IsType<PackageAdded>(events.Current);

        await Eventually.Async(() => running.Monitor is { IsConnected: true });
        var change = registry.PublishVersion("ms", "1.1.0");
        Assert.True(await events.MoveNextAsync());
        Assert.Equal("1.1.0", Assert.IsType<VersionPublished>(events.Current).Version);
        await Eventually.Async(async () => (await running.GetLastSequenceAsync(TestContext.Current.CancellationToken)).Text == change.Sequence.ToString(System.Globalization.CultureInfo.InvariantCulture));
        var row = await running.Store.FindAsync(PackageName.Parse("ms"), TestContext.Current.CancellationToken);
        Assert.Equal(2, PackumentIndex.FromBytes(row!.Index.Span).Versions.Count);
        Assert.Same(running.Mirror.Logger, running.Logger);
    }

    [Fact]
    public async Task A_store_of_the_callers_stays_open_and_wrong_options_are_told_at_once()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        var store = new MemoryStore(TimeProvider.System);
        await using (await RegistryMirror.StartAsync(Options(registry), store, cancellationToken: TestContext.Current.CancellationToken))
        {
        }

        Assert.Equal(0, (await store.CountAsync(TestContext.Current.CancellationToken)).Packages);
        var options = Options(registry);
        options.Concurrency = 0;
        Assert.Contains("concurrency", (await Assert.ThrowsAsync<MirrorException>(() => RegistryMirror.StartAsync(options, store, cancellationToken: TestContext.Current.CancellationToken))).Message, StringComparison.Ordinal);
    }

    private MirrorOptions Options(FakeRegistry registry) => new()
    {
        Upstream = registry.Url.AbsoluteUri,
        Feed = registry.FeedUrl.AbsoluteUri,
        Metadata = MetadataMode.All,
        Data = _folder.Path,
        Store = { Engine = "Memory" },
    };
}
