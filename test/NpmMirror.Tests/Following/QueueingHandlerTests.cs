using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Removals;
using NpmMirror.Tests.Syncing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Following;

public sealed class QueueingHandlerTests : IAsyncLifetime
{
    private MirrorBench _bench = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _bench = await MirrorBench.StartAsync(new MirrorOptions { Metadata = MetadataMode.All });

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Claim("A row is known by its rev in the same life of the upstream's database only: after a reset to another one a smaller number is news",
        With =
        [
            $"{nameof(PackageSyncTests)}.{nameof(PackageSyncTests.Revs_of_another_database_are_not_compared)}",
            nameof(A_late_row_brings_nothing_where_the_queue_waits_for_it_or_a_newer_one),
            nameof(A_row_without_a_revision_is_asked_about),
        ],
        Red = "`QueueingHandler.IsKnown` does not compare the upstream, for an equal rev or for a higher one; `UpstreamIdentity.Of` drops the database: red each; the revision is not compared")]
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

    [Claim("A change that the feed tells is due at once, and waits since then",
        Red = "`QueueingHandler` leaves out `QueuedAt`, or `DueAt`")]
    [Fact]
    public async Task A_row_is_queued_since_now_and_due_now()
    {
        await Handler(_bench.Store, _bench.Queue).HandleAgainAsync(Page("1-x"), (_, _) => ValueTask.CompletedTask, Token);
        var (item, now) = (await _bench.Store.Queue.FindQueuedAsync(PackageName.Parse("a"), Token), _bench.Clock.GetUtcNow());
        Assert.Equal((now, now, "1-x", QueuePriority.Change), (item!.QueuedAt, item.DueAt, item.WantedRev, item.Priority));
    }

    [Claim("Names are queued before the cursor stands after them, wherever a process dies",
        Red = "the cursor is set before `EnqueueAsync`; `handled` is set before the tries")]
    [Theory]
    [InlineData(0, false)]
    [InlineData(0, true)]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(2, false)]
    [InlineData(2, true)]
    public async Task No_cursor_stands_after_unqueued_names_when_a_process_dies(int writesToLive, bool isOdd)
    {
        var (store, process) = CrashingStore.Over(_bench.Store, writesToLive);
        if (isOdd)
        {
            // The rest of the last write depends on the number of earlier requests.
            await store.CountAsync(Token);
        }

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var queue = new SyncQueue(store, _bench.Sync, _bench.Options, _bench.Clock, NullLogger<SyncQueue>.Instance);
        var handling = Handler(store, queue).HandleAsync(Page("1-x"), (_, _) => ValueTask.CompletedTask, ending.Token);
        await Eventually.Async(async () => process.IsDead || await _bench.Store.Queue.FindQueuedAsync(PackageName.Parse("a"), Token) is not null);
        await ending.CancelAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => handling);
        var isQueued = await _bench.Store.Queue.FindQueuedAsync(PackageName.Parse("a"), Token) is not null;
        Assert.True(isQueued || await _bench.Store.Notes.FindNoteAsync(MirrorCursors.Read, Token) is null);
        Assert.Null(await _bench.Store.Notes.FindNoteAsync(MirrorCursors.Handled, Token));
    }

    [Claim("A try by another process that shares the queue does not hold the follower up",
        With = [nameof(A_try_elsewhere_or_of_two_minutes_holds_nothing_up)],
        Red = "the store is not looked at while a try is waited for: red; `FirstTryMax` is not looked at")]
    [Fact]
    public async Task A_package_that_another_process_has_tried_is_not_waited_for()
    {
        _bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        var handling = Handler(_bench.Store, _bench.Queue).HandleAsync(Page("1-x"), (_, _) => ValueTask.CompletedTask, Token);
        await Eventually.Async(async () => await _bench.Store.Queue.FindQueuedAsync(PackageName.Parse("a"), Token) is not null);
        using var other = new SyncQueue(_bench.Store, _bench.Sync, _bench.Options, _bench.Clock, NullLogger<SyncQueue>.Instance);
        Assert.True((await other.TryNowAsync(PackageName.Parse("a"), Token))!.IsDone);
        for (var second = 0; second < 10 && !handling.IsCompleted; second++)
        {
            _bench.Clock.Advance(TimeSpan.FromSeconds(1));
            await Task.WhenAny(handling, Task.Delay(TimeSpan.FromSeconds(2), TimeProvider.System, Token));
        }

        Assert.True(handling.IsCompletedSuccessfully);
        Assert.Equal("7", await _bench.Store.Notes.FindNoteAsync(MirrorCursors.Handled, Token));
    }

    [Claim("A deletion of a package that was never held is wanted only from another mirror, and of one in the graveyard only under another revision",
        With =
        [
            nameof(A_deletion_in_the_graveyard_is_known_by_its_revision),
            $"{nameof(TombstonesTests)}.{nameof(TombstonesTests.Of_another_mirrors_removals_only_news_are_queued)}",
            $"{nameof(TombstonesTests)}.{nameof(TombstonesTests.A_package_the_mode_does_not_want_is_not_queued_as_removed)}",
            $"{nameof(RemovalTests)}.{nameof(RemovalTests.A_second_removal_by_another_mirror_is_buried_by_its_revision)}",
            $"{nameof(RemovalTests)}.{nameof(RemovalTests.An_earlier_removal_of_another_mirror_is_kept_as_told)}",
        ],
        Red = "each condition of `Tombstones.IsNews` and `IsWantedAsync` left out")]
    [Theory]
    [InlineData(false, true, false)]
    [InlineData(true, true, true)]
    [InlineData(false, false, true)]
    public async Task A_deletion_of_a_package_never_held_is_wanted_from_a_mirror_only(bool isMirrors, bool isDeleted, bool isNew)
    {
        var page = new ChangesPage([new ChangeRow(new Sequence("7"), "_design/app", "1-x", false), new ChangeRow(new Sequence("7"), "a", "1-x", isDeleted)], new Sequence("7"), IsAtHead: true);
        var news = await Handler(_bench.Store, _bench.Queue, isMirrors).HandleAgainAsync(page, (_, _) => ValueTask.CompletedTask, Token);
        Assert.Equal(isNew ? ["a"] : [], news.Select(row => row.Id));
        var queued = await _bench.Store.Queue.ListQueuedAsync(Token).ToListAsync(Token);
        Assert.Equal(isNew ? [("a", "1-x", isDeleted)] : [], queued.Select(item => (item.Name.Value, item.WantedRev, item.IsDeletedRow)));
    }

    [Theory]
    [InlineData("3-x", false, "3-x", false, false)]
    [InlineData("3-x", false, "2-x", false, false)]
    [InlineData("3-x", false, "4-x", false, true)]
    [InlineData("3-x", false, "3-x", true, true)]
    [InlineData("3-x", true, "3-x", true, false)]
    [InlineData("3-x", false, null, false, true)]
    [InlineData(null, false, "3-x", false, true)]
    public async Task A_late_row_brings_nothing_where_the_queue_waits_for_it_or_a_newer_one(string? wanted, bool isDeletion, string? rev, bool isDeleted, bool isNew)
    {
        await _bench.Queue.EnqueueAsync([_bench.Item("a", wanted) with { IsDeletedRow = isDeletion }], null, Token);
        var page = new ChangesPage([new ChangeRow(new Sequence("7"), "a", rev, isDeleted)], new Sequence("7"), IsAtHead: true);
        Assert.Equal(isNew, (await Handler(_bench.Store, _bench.Queue).HandleAgainAsync(page, (_, _) => ValueTask.CompletedTask, Token)).Count == 1);
    }

    [Theory]
    [InlineData(false, false, "9-x", true)]
    [InlineData(false, true, "9-x", false)]
    [InlineData(true, true, "9-x", true)]
    [InlineData(true, true, null, false)]
    public async Task A_deletion_in_the_graveyard_is_known_by_its_revision(bool isMirrors, bool isDeleted, string? rev, bool isNew)
    {
        _bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        await _bench.SyncAsync("a");
        _bench.Upstream.Unpublish("a");
        await _bench.SyncAsync("a");
        Assert.True((await _bench.RowAsync("a"))!.Facts.IsRemoved);
        async Task<bool> IsNewAsync(string? told) => (await Handler(_bench.Store, _bench.Queue, isMirrors).HandleAgainAsync(
            new ChangesPage([new ChangeRow(new Sequence("7"), "a", told, isDeleted)], new Sequence("7"), IsAtHead: true), (_, _) => ValueTask.CompletedTask, Token)).Count == 1;
        Assert.Equal(isNew && !isDeleted, await IsNewAsync(ServedRevision.Of((await _bench.RowAsync("a"))!)));
        Assert.Equal(isNew, await IsNewAsync(rev));
    }

    [Fact]
    public async Task A_row_without_a_revision_is_asked_about()
    {
        _bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        await _bench.SyncAsync("a");
        var page = new ChangesPage([new ChangeRow(new Sequence("7"), "a", null, IsDeleted: false)], new Sequence("7"), IsAtHead: true);
        Assert.Single(await Handler(_bench.Store, _bench.Queue).HandleAgainAsync(page, (_, _) => ValueTask.CompletedTask, Token));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_try_elsewhere_or_of_two_minutes_holds_nothing_up(bool isTriedElsewhere)
    {
        var name = PackageName.Parse("a");
        var handling = Handler(_bench.Store, _bench.Queue).HandleAsync(Page("1-x"), (_, _) => ValueTask.CompletedTask, Token);
        await Eventually.Async(async () => await _bench.Store.Queue.FindQueuedAsync(name, Token) is not null);
        var lease = (await _bench.Store.Queue.TakeAsync(name, TimeSpan.FromMinutes(2), Token))!;
        await AdvanceAsync(handling, seconds: 10);
        Assert.False(handling.IsCompleted);
        if (isTriedElsewhere)
        {
            await _bench.Store.Queue.PostponeAsync(lease, new QueuePostponement(_bench.Clock.GetUtcNow().AddHours(1), "No.", null), Token);
            await AdvanceAsync(handling, seconds: 2);
        }
        else
        {
            await AdvanceAsync(handling, seconds: 111);
        }

        await handling.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Token);
        Assert.Equal("7", await _bench.Store.Notes.FindNoteAsync(MirrorCursors.Handled, Token));
        Assert.NotNull(await _bench.Store.Queue.FindQueuedAsync(name, Token));
    }

    [Fact]
    public async Task A_page_whose_names_were_tried_is_handled_at_once()
    {
        _bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        var (store, counts) = AspNetCore.CountedStore.Over(_bench.Store);
        using var queue = new SyncQueue(_bench.Store, _bench.Sync, _bench.Options, _bench.Clock, NullLogger<SyncQueue>.Instance);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var handling = Task.Run(() => Handler(store, queue).HandleAsync(Page("1-x"), (_, _) => ValueTask.CompletedTask, ending.Token), Token);
        await Eventually.Async(() => handling.IsCompleted || _bench.Clock.IsNextIn(TimeSpan.FromSeconds(1)));
        Assert.False(handling.IsCompleted);
        await queue.TryNowAsync(PackageName.Parse("a"), Token);
        var first = await Task.WhenAny(handling, Task.Delay(TimeSpan.FromSeconds(30), TimeProvider.System, Token));
        await ending.CancelAsync();
        Assert.Same(handling, first);
        await handling;
        Assert.Equal(0, counts.CountOf(nameof(IQueueTable.FindQueuedAsync)));
        Assert.Equal("7", await _bench.Store.Notes.FindNoteAsync(MirrorCursors.Read, Token));
    }

    private async Task AdvanceAsync(Task handling, int seconds)
    {
        for (var second = 0; second < seconds && !handling.IsCompleted; second++)
        {
            await Eventually.Async(() => handling.IsCompleted || _bench.Clock.IsNextIn(TimeSpan.FromSeconds(1)));
            _bench.Clock.Advance(TimeSpan.FromSeconds(1));
        }
    }

    private static ChangesPage Page(string rev) => new([new ChangeRow(new Sequence("7"), "a", rev, IsDeleted: false)], new Sequence("7"), IsAtHead: true);

    private QueueingHandler Handler(IMetadataStore store, SyncQueue queue, bool isMirrors = false) =>
        new(store, queue, _bench.News, new PackageScope(_bench.Options), _bench.Known, isMirrors, _bench.Clock);
}
