using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Following;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Mirroring;

public sealed class QueueingHandlerTests : IAsyncLifetime
{
    private MirrorBench _bench = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _bench = await MirrorBench.StartAsync(new MirrorOptions { Metadata = MetadataMode.All });

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Theory]
    [InlineData("first life", "1-x", false)]
    [InlineData("first life", null, false)]
    [InlineData("first life", "4-x", true)]
    [InlineData("second life", "1-x", true)]
    [InlineData("second life", null, true)]
    public async Task A_row_is_known_by_its_rev_in_the_same_life_of_the_database_only(string life, string? rev, bool isNew)
    {
        _bench.Known.Note(UpstreamIdentity.Of(_bench.Client.BaseUrl, "first life"));
        _bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        _bench.Upstream.Touch("a");
        _bench.Upstream.Touch("a");
        await _bench.SyncAsync("a");
        _bench.Known.Note(UpstreamIdentity.Of(_bench.Client.BaseUrl, life));
        var page = Page(rev ?? _bench.Upstream.Revision("a")!);
        var news = await Handler(_bench.Store, _bench.Queue).HandleAgainAsync(page, (_, _) => ValueTask.CompletedTask, Token);
        Assert.Equal(isNew, news.Count == 1);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(0, true)]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(2, false)]
    [InlineData(2, true)]
    public async Task Wherever_a_process_dies_no_cursor_stands_behind_names_that_are_not_queued(int writesToLive, bool isOdd)
    {
        var (store, process) = CrashingStore.Over(_bench.Store, writesToLive);
        if (isOdd)
        {
            // What is left of the last write depends on how much was asked before.
            await store.CountAsync(Token);
        }

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var queue = new SyncQueue(store, _bench.Sync, _bench.Options, _bench.Clock, NullLogger<SyncQueue>.Instance);
        var handling = Handler(store, queue).HandleAsync(Page("1-x"), (_, _) => ValueTask.CompletedTask, ending.Token);
        await Eventually.Async(async () => process.IsDead || await _bench.Store.FindQueuedAsync(PackageName.Parse("a"), Token) is not null);
        await ending.CancelAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => handling);
        var isQueued = await _bench.Store.FindQueuedAsync(PackageName.Parse("a"), Token) is not null;
        Assert.True(isQueued || await _bench.Store.GetCursorAsync(MirrorCursors.Read, Token) is null);
        Assert.Null(await _bench.Store.GetCursorAsync(MirrorCursors.Handled, Token));
    }

    [Fact]
    public async Task What_another_process_has_tried_is_not_waited_for()
    {
        _bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        var handling = Handler(_bench.Store, _bench.Queue).HandleAsync(Page("1-x"), (_, _) => ValueTask.CompletedTask, Token);
        await Eventually.Async(async () => await _bench.Store.FindQueuedAsync(PackageName.Parse("a"), Token) is not null);
        using var other = new SyncQueue(_bench.Store, _bench.Sync, _bench.Options, _bench.Clock, NullLogger<SyncQueue>.Instance);
        Assert.True((await other.TryNowAsync(PackageName.Parse("a"), Token))!.IsDone);
        for (var second = 0; second < 10 && !handling.IsCompleted; second++)
        {
            _bench.Clock.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(handling, Task.Delay(TimeSpan.FromSeconds(2), TimeProvider.System, Token));
        }

        Assert.True(handling.IsCompletedSuccessfully);
        Assert.Equal("7", await _bench.Store.GetCursorAsync(MirrorCursors.Handled, Token));
    }

    private static ChangesPage Page(string rev) => new([new ChangeRow(new Sequence("7"), "a", rev, IsDeleted: false)], new Sequence("7"), IsAtHead: true);

    private QueueingHandler Handler(IMetadataStore store, SyncQueue queue) =>
        new(store, queue, _bench.News, new PackageScope(_bench.Options), _bench.Known, isMirrors: false, _bench.Clock);
}
