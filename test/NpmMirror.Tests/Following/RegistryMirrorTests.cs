using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.AspNetCore;
using NpmMirror.Tests.Reconciling;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Following;

[Trait("Duration", "long")]
public sealed class RegistryMirrorTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Holds_the_whole_list_and_follows_from_the_head_noted_before()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a", "b", "@s/c");
        var head = bench.Upstream.HeadSequence;
        await using var mirror = bench.Mirror();
        await mirror.StartAsync(Token);
        await Eventually.Async(async () => await bench.RowAsync("a") is not null && await bench.RowAsync("b") is not null && await bench.RowAsync("@s/c") is not null);
        Assert.True((await mirror.GetLastSequenceAsync(Token)).Number >= head);

        bench.Upstream.PublishVersion("a", "2.0.0");
        bench.Upstream.Publish(new FakePackage("new").Version("1.0.0"));
        await Eventually.Async(async () => (await bench.RowAsync("a"))!.Facts.Rev == bench.Upstream.Revision("a") && await bench.RowAsync("new") is not null);
        await Eventually.Async(async () => (await mirror.GetLastSequenceAsync(Token)).Number == bench.Upstream.HeadSequence);
    }

    [Fact]
    public async Task Resumes_after_the_cursor_and_asks_only_for_changed_packages()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a", "b");
        await using (var first = bench.Mirror())
        {
            await first.StartAsync(Token);
            await Eventually.Async(async () => await bench.RowAsync("a") is not null && await bench.RowAsync("b") is not null);
            await Eventually.Async(async () => (await first.GetLastSequenceAsync(Token)).Number == bench.Upstream.HeadSequence);
            await first.StopAsync(Token);
        }

        bench.Upstream.PublishVersion("a", "2.0.0");
        bench.Upstream.Requests.Clear();
        await using var second = bench.Mirror();
        await second.StartAsync(Token);
        await Eventually.Async(async () => (await bench.RowAsync("a"))!.Facts.Rev == bench.Upstream.Revision("a"));
        Assert.Equal(0, bench.Upstream.Requests.CountOf("/b"));
        Assert.Equal(0, bench.Upstream.Requests.CountOf("*_all_docs"));
    }

    [Claim("A feed that was followed before is not given up because of a 404: it is looked for until it answers, by commands a few times",
        With = [nameof(A_command_does_not_take_a_feed_for_one_that_never_was)],
        Red = "`RegistryMirror.FindFeedAsync` gives null, whatever was followed before")]
    [Fact]
    public async Task A_feed_that_was_followed_is_looked_for_until_it_answers_again()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a");
        await using (var first = bench.Mirror("auto"))
        {
            await first.StartAsync(Token);
            await Eventually.Async(async () => await bench.RowAsync("a") is not null && (await first.GetLastSequenceAsync(Token)).Number == bench.Upstream.HeadSequence);
            await first.StopAsync(Token);
        }

        bench.Upstream.PublishVersion("a", "2.0.0");
        // The list goes on answering: a mirror that took the 404 for the end of the feed would compare with it once, and stop looking.
        var denied = bench.Upstream.Knobs.Add(new FakeRule { Path = "/_changes*", Status = 404 });
        await using var second = bench.Mirror("auto");
        await second.StartAsync(Token);
        await Eventually.Async(() => denied.HitCount >= 2);
        bench.Upstream.Knobs.Clear();
        await Eventually.Async(async () => (await bench.RowAsync("a"))!.Facts.Rev == bench.Upstream.Revision("a"));
    }

    [Fact]
    public async Task Following_begins_after_a_look_that_failed_in_an_unknown_way()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a");
        var looks = 0;
        var feed = new LiveChangeFeed(bench.Client, bench.Upstream.FeedUrl, new FeedOptions());
        FindFeed find = _ => looks++ == 0 ? throw new InvalidOperationException("a look that nobody foresaw") : Task.FromResult<IChangeFeed?>(feed);
        await using var mirror = new RegistryMirror(bench.Store, bench.Client, bench.Known, bench.Queue, bench.News, new PackageScope(bench.Options), find, bench.Options, TimeProvider.System, NullLoggerFactory.Instance);
        await mirror.StartAsync(Token);
        await Eventually.Async(async () => await bench.RowAsync("a") is not null);
    }

    [Fact]
    public async Task A_command_does_not_take_a_feed_for_one_that_never_was()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a");
        await using var mirror = bench.Mirror("auto");
        await bench.Store.Notes.SetNoteAsync(MirrorCursors.Feed, $"{bench.Upstream.Url.AbsoluteUri.TrimEnd('/')}#life", Token);
        bench.Upstream.Knobs.Add(new FakeRule { Status = 404, TimesMax = 2 });
        Assert.Equal(1, (await mirror.SyncOnceAsync([], null, Token)).Changed);
    }

    [Claim("A package that is stored when a stop comes has left the queue, and is not fetched again by the next process",
        Red = "`SyncQueue.GiveBackAsync` ends with the stop")]
    [Fact]
    public async Task A_package_stored_when_a_stop_comes_is_not_fetched_again()
    {
        await using var bench = await StartAsync(new MirrorOptions(), "a");
        await bench.Queue.EnqueueAsync([bench.Item("a")], null, Token);
        using var stopping = new CancellationTokenSource();
        bench.News.Changed += (_, _) => stopping.Cancel();
        await bench.Queue.RunAsync(stopping.Token);
        Assert.NotNull(await bench.RowAsync("a"));
        Assert.Equal(0, (await bench.Store.CountAsync(Token)).Queued);
    }

    [Claim("The queue of a dead process counts as handled by the next, and a walk that was cut short is repeated even if the old cursor looks good again",
        With = [nameof(A_walk_is_repeated_also_when_the_feed_has_grown_past_the_old_cursor)],
        Red = "`FeedStart.NoteAsync` does not compare the two cursors: the first was red; `FindAsync` does not look at the walk's own cursor: the last")]
    [Fact]
    public async Task A_dead_processs_queue_is_handled_even_if_nothing_changes()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a");
        await using (var first = bench.Mirror())
        {
            await first.StartAsync(Token);
            await Eventually.Async(async () => (await first.GetLastSequenceAsync(Token)).Number == bench.Upstream.HeadSequence);
            await first.StopAsync(Token);
        }

        await bench.Store.Notes.SetNoteAsync(MirrorCursors.Handled, "0", Token);
        await using var second = bench.Mirror();
        await second.StartAsync(Token);
        await Eventually.Async(async () => (await second.GetLastSequenceAsync(Token)).Number == bench.Upstream.HeadSequence);
    }

    [Fact]
    public async Task A_walk_is_repeated_also_when_the_feed_has_grown_past_the_old_cursor()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a", "b");
        await using (var first = bench.Mirror())
        {
            await first.StartAsync(Token);
            await Eventually.Async(async () => (await first.GetLastSequenceAsync(Token)).Number == bench.Upstream.HeadSequence && await bench.RowAsync("b") is not null);
            await first.StopAsync(Token);
        }

        // A row before the cursor, and the mark of a walk that did not end.
        bench.Upstream.TouchAt("a", -5);
        await bench.Store.Notes.SetNoteAsync(MirrorCursors.WalkHead, "1", Token);
        await using var second = bench.Mirror();
        await second.StartAsync(Token);
        await Eventually.Async(async () => (await bench.RowAsync("a"))?.Facts.Rev == bench.Upstream.Revision("a"));
        await Eventually.Async(async () => await bench.Store.Notes.FindNoteAsync(MirrorCursors.WalkHead, Token) is null);
    }

    [Fact]
    public async Task A_walk_that_was_cut_short_is_repeated()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a", "b");
        using (var gate = bench.Upstream.Knobs.Hold("*_all_docs"))
        {
            await using var first = bench.Mirror();
            await first.StartAsync(Token);
            await gate.WaitForAsync(1, Token);
            await first.StopAsync(Token);
        }

        bench.Upstream.Knobs.Clear();
        await using var second = bench.Mirror();
        await second.StartAsync(Token);
        await Eventually.Async(async () => await bench.RowAsync("a") is not null && await bench.RowAsync("b") is not null);
    }

    [Claim("Compatibility D1: a walk updates only changed packages, and is repeated when cut short; `metadata=all`, `listed`",
        With =
        [
            nameof(A_walk_that_was_cut_short_is_repeated),
            nameof(Listed_holds_names_and_globs_eagerly_and_tells_others_why_not),
            nameof(Used_fetches_only_requested_packages),
        ],
        Red = "`UpstreamWalk.IsNeededAsync` is always true: the first was red; cursors set before the walk: the second was red")]
    [Fact]
    public async Task A_walk_updates_only_changed_packages()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a", "b", "c");
        await using var mirror = bench.Mirror();
        Assert.Equal(3, (await mirror.SyncOnceAsync([], null, Token)).Changed);
        bench.Upstream.Deprecate("b", "1.0.0", "no");
        bench.Upstream.Requests.Clear();
        Assert.Equal(1, (await mirror.SyncOnceAsync([], null, Token)).Changed);
        Assert.Equal(0, bench.Upstream.Requests.CountOf("/a"));
        Assert.Equal(1, bench.Upstream.Requests.CountOf("/b"));
    }

    [Fact]
    public async Task Loads_the_classic_list_of_everything_where_there_is_no_feed()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a", "@s/b");
        bench.Upstream.Knobs.Feed = FakeFeedDialect.None;
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/-/all", Status = 200, ContentType = "application/json", Body = """{"_updated":1,"a":{"name":"a"},"@s/b":{"name":"@s/b"}}""" });
        await using var mirror = bench.Mirror(hasFeed: false);
        Assert.Equal(2, (await mirror.SyncOnceAsync([], null, Token)).Changed);
    }

    [Claim("Of an upstream's `/-/all` only packages that changed since, and those that it leaves out, are asked for",
        With =
        [
            $"{nameof(Feeds.ChangeFeedTests)}.{nameof(Feeds.ChangeFeedTests.Lists_by_the_classic_route_where_only_that_answers)}",
            $"{nameof(ListSpoolTests)}.{nameof(ListSpoolTests.Returns_each_name_once_in_the_order_of_bytes)}",
        ],
        Red = "`ListJoin` does not compare the times, or `AllPackagesList` drops them: the first was red; `RegistryMirror` does not ask for what the list leaves out: the first; `ListSpool` gives a name twice: the last")]
    [Fact]
    public async Task Of_the_classic_list_only_changed_and_missing_names_are_asked_for()
    {
        // More of them than one reconciliation believes to be gone.
        var unlisted = Enumerable.Range(0, 60).Select(i => $"unlisted-{i}").ToArray();
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, ["same", "changed", .. unlisted]);
        bench.Upstream.Knobs.Feed = FakeFeedDialect.None;
        foreach (var name in unlisted)
        {
            await bench.SyncAsync(name);
        }

        string Entry(string name, string? time = null) => $"\"{name}\":{{\"name\":\"{name}\",\"time\":{{\"modified\":\"{time ?? ModifiedOf(bench, name)}\"}}}}";
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/-/all", Status = 200, ContentType = "application/json", Body = $$"""{"_updated":1,{{Entry("same")}},{{Entry("changed")}}}""" });
        await using var mirror = bench.Mirror(hasFeed: false);
        Assert.Equal(2, (await mirror.SyncOnceAsync([], null, Token)).Changed);

        bench.Upstream.Requests.Clear();
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/-/all", Status = 200, ContentType = "application/json", Body = $$"""{"_updated":2,{{Entry("same")}},{{Entry("changed", "2031-02-03T04:05:06.789Z")}}}""" });
        Assert.Empty((await mirror.SyncOnceAsync([], null, Token)).Failures);
        Assert.Equal((0, 1, unlisted.Length), (bench.Upstream.Requests.CountOf("/same"), bench.Upstream.Requests.CountOf("/changed"), bench.Upstream.Requests.CountOf("/unlisted-*")));
    }

    [Fact]
    public async Task An_explicit_sequence_beats_the_stored_one()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All, LastSeq = "0" }, "a", "b");
        await bench.Store.Notes.SetNoteAsync(MirrorCursors.Read, $"{bench.Upstream.HeadSequence}", Token);
        await using var mirror = bench.Mirror();
        await mirror.StartAsync(Token);
        await Eventually.Async(async () => await bench.RowAsync("a") is not null && await bench.RowAsync("b") is not null);
        Assert.Equal(0, bench.Upstream.Requests.CountOf("*_all_docs"));
    }

    [Fact]
    public async Task An_explicit_sequence_that_the_feed_has_not_come_to_leads_to_one_walk()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All, LastSeq = "1000" }, "a");
        await using var mirror = bench.Mirror();
        await mirror.StartAsync(Token);
        await Eventually.Async(async () => await bench.RowAsync("a") is not null && mirror.Monitor is { IsConnected: true });
        bench.Upstream.Publish(new FakePackage("after").Version("1.0.0"));
        await Eventually.Async(async () => await bench.RowAsync("after") is not null);
        await Eventually.Async(async () => (await mirror.GetLastSequenceAsync(Token)).Number == bench.Upstream.HeadSequence);
    }

    [Fact]
    public async Task Used_fetches_only_requested_packages()
    {
        await using var bench = await StartAsync(new MirrorOptions(), "used", "unused");
        await using var mirror = bench.Mirror();
        await mirror.StartAsync(Token);
        await bench.ReadThrough.FindAsync(PackageName.Parse("used"), Token);
        await Eventually.Async(() => mirror.Monitor is { IsConnected: true });
        bench.Upstream.PublishVersion("unused", "2.0.0");
        bench.Upstream.PublishVersion("used", "2.0.0");
        await Eventually.Async(async () => (await bench.RowAsync("used"))!.Facts.Rev == bench.Upstream.Revision("used"));
        Assert.Equal(0, bench.Upstream.Requests.CountOf("/unused"));
        Assert.Null(await bench.RowAsync("unused"));
    }

    [Fact]
    public async Task Listed_holds_names_and_globs_eagerly_and_tells_others_why_not()
    {
        var options = new MirrorOptions { Metadata = MetadataMode.Listed };
        options.List.Add("a");
        options.List.Add("@s/*");
        await using var bench = await StartAsync(options, "a", "@s/one", "@s/two", "other");
        await using var mirror = bench.Mirror();
        Assert.Equal(3, (await mirror.SyncOnceAsync([], null, Token)).Changed);
        var absent = Assert.IsType<ReadAnswer.Absent>(await bench.ReadThrough.FindAsync(PackageName.Parse("other"), Token));
        Assert.Contains("list", absent.Reason, StringComparison.Ordinal);
        Assert.Equal(0, bench.Upstream.Requests.CountOf("/other"));
    }

    [Claim("A package listed later is fetched at the next start although the feed does not tell of it, and one that is not listed any more stays and is followed (never-again 14)",
        Red = "the scope is never compared, or noted without names and globs: red each")]
    [Fact]
    public async Task A_name_added_to_the_list_is_fetched_and_one_removed_is_followed_on()
    {
        var options = new MirrorOptions { Metadata = MetadataMode.Listed };
        options.List.Add("first");
        await using var bench = await StartAsync(options, "first", "added", "@s/one", "other");
        await RunUntilHeldAsync(bench, "first");

        options.List.Clear();
        options.List.Add("added");
        options.List.Add("@s/*");
        await RunUntilHeldAsync(bench, "added", "@s/one");
        Assert.Null(await bench.RowAsync("other"));
        bench.Upstream.Requests.Clear();
        await using var mirror = bench.Mirror();
        await mirror.StartAsync(Token);
        bench.Upstream.PublishVersion("first", "2.0.0");
        await Eventually.Async(async () => (await bench.RowAsync("first"))!.Facts.Rev == bench.Upstream.Revision("first"));

        // Nothing else is wanted than at the start before: no list is read for it.
        Assert.Equal(0, bench.Upstream.Requests.CountOf("*_all_docs"));
    }

    [Fact]
    public async Task Tells_new_update_and_delete_once_each_with_the_metadata()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a");
        await using var mirror = bench.Mirror();
        await mirror.StartAsync(Token);
        // Packages held from the beginning may be told a moment after they were stored: once out of the queue they have been told.
        await Eventually.Async(async () => mirror.Monitor is { IsConnected: true } && await bench.RowAsync("a") is not null && bench.Queue.InFlight == 0);
        var told = new ConcurrentQueue<MonitorEvent>();
        mirror.Monitor!.Appeared += told.Enqueue;
        mirror.Monitor.Updated += told.Enqueue;
        mirror.Monitor.Deleted += told.Enqueue;

        bench.Upstream.Publish(new FakePackage("b").Version("1.0.0"));
        await Eventually.Async(() => told.OfType<MonitorEvent.Appeared>().Any());
        var metadata = bench.Upstream.Packument("b");
        bench.Upstream.PublishVersion("b", "2.0.0");
        await Eventually.Async(() => told.OfType<MonitorEvent.Updated>().Any());
        bench.Upstream.Delete("b");
        await Eventually.Async(() => told.OfType<MonitorEvent.Deleted>().Any());
        Assert.Equal(3, told.Count);
        Assert.Equal(metadata, told.OfType<MonitorEvent.Appeared>().Single().Metadata.ToArray());
    }

    [Claim("A feed that jumped back loses nothing",
        With = [nameof(A_feed_that_jumped_back_without_a_follower_is_compared_anew)],
        Red = "that the monitor found a reset is not passed on to `FeedStart`: the last was red")]
    [Fact]
    public async Task A_feed_that_jumped_back_is_compared_anew_and_nothing_is_lost()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a", "b");
        await using var mirror = bench.Mirror();
        await mirror.StartAsync(Token);
        await Eventually.Async(async () => await bench.RowAsync("a") is not null && await bench.RowAsync("b") is not null);
        await Eventually.Async(() => mirror.Monitor is { IsConnected: true });
        bench.Upstream.ResetFeed("another life of the database");
        bench.Upstream.Publish(new FakePackage("after").Version("1.0.0"));
        await Eventually.Async(async () => await bench.RowAsync("after") is not null);
        Assert.NotNull(await bench.RowAsync("b"));
    }

    [Fact]
    public async Task A_feed_that_jumped_back_without_a_follower_is_compared_anew()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a", "b", "c");
        await using (var before = bench.Mirror())
        {
            await before.StartAsync(Token);
            await Eventually.Async(() => before.Monitor is { IsConnected: true });
        }

        // The same database restored from an old backup: its newest number is one that this mirror has read already.
        bench.Upstream.Delete("b");
        bench.Upstream.Delete("c");
        bench.Upstream.Publish(new FakePackage("restored").Version("1.0.0"));
        await bench.Store.Notes.SetNoteAsync(MirrorCursors.Read, "1000", Token);
        await using var after = bench.Mirror();
        await after.StartAsync(Token);
        await Eventually.Async(async () => await bench.RowAsync("restored") is not null);
    }

    [Fact]
    public async Task Without_a_feed_a_restart_asks_only_for_missing_packages()
    {
        var options = new MirrorOptions { Metadata = MetadataMode.ListedUsed };
        options.List.Add("missing");
        await using var bench = await StartAsync(options, "held", "missing");
        await bench.SyncAsync("held");
        await using var mirror = bench.Mirror(hasFeed: false);
        await mirror.StartAsync(Token);
        await Eventually.Async(async () => await bench.RowAsync("missing") is not null);
        Assert.Equal(1, bench.Upstream.Requests.CountOf("/held"));
    }

    [Fact]
    public async Task One_package_that_fails_stops_no_other_and_is_named()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "bad", "good");
        bench.Upstream.PutDocument("bad", "not json"u8.ToArray());
        await using var mirror = bench.Mirror();
        var begun = TimeProvider.System.GetTimestamp();
        var summary = await mirror.SyncOnceAsync([], null, Token);
        Assert.Equal("bad", Assert.Single(summary.Failures).Key.Value);
        Assert.NotNull(await bench.RowAsync("good"));
        Assert.True(TimeProvider.System.GetElapsedTime(begun) < TimeSpan.FromMinutes(2));
    }

    [Claim("`sync NAME` tries, tells and fails for only these packages",
        Red = "`CatchUp` drains the whole queue")]
    [Fact]
    public async Task Named_packages_are_done_and_told_alone()
    {
        await using var bench = await StartAsync(new MirrorOptions(), "bad", "waiting", "good");
        bench.Upstream.PutDocument("bad", "not json"u8.ToArray());
        await bench.Queue.EnqueueAsync([bench.Item("bad"), bench.Item("waiting")], null, Token);
        await using var mirror = bench.Mirror(hasFeed: false);
        var summary = await mirror.SyncOnceAsync([PackageName.Parse("good")], null, Token);
        Assert.Equal((1, 0, 0), (summary.Changed, summary.Failures.Count, summary.InDoubt));
        Assert.Equal(["bad", "waiting"], await bench.Store.Queue.ListQueuedAsync(Token).Select(item => item.Name.Value).ToListAsync(Token));
        Assert.Equal(0, bench.Upstream.Requests.CountOf("/bad") + bench.Upstream.Requests.CountOf("/waiting"));
    }

    [Fact]
    public async Task Everything_without_a_list_is_refused_in_one_sentence()
    {
        await using var bench = await StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, "a");
        bench.Upstream.Knobs.Feed = FakeFeedDialect.None;
        await using var mirror = bench.Mirror(hasFeed: false);
        var refused = await Assert.ThrowsAsync<MirrorException>(() => mirror.SyncOnceAsync([], null, Token));
        Assert.Contains("--feed", refused.Message, StringComparison.Ordinal);
    }

    private static string ModifiedOf(MirrorBench bench, string name)
    {
        using var packument = JsonDocument.Parse(bench.Upstream.Packument(name));
        return packument.RootElement.GetProperty("time").GetProperty("modified").GetString()!;
    }

    private static async Task RunUntilHeldAsync(MirrorBench bench, params string[] names)
    {
        await using var mirror = bench.Mirror();
        await mirror.StartAsync(Token);
        foreach (var name in names)
        {
            await Eventually.Async(async () => await bench.RowAsync(name) is not null);
        }

        await Eventually.Async(async () => (await mirror.GetLastSequenceAsync(Token)).Number == bench.Upstream.HeadSequence);

        // Noted last: a start that is cut short before it looks at the whole list again.
        var wanted = new PackageScope(bench.Options).Fingerprint;
        await Eventually.Async(async () => await bench.Store.Notes.FindNoteAsync(MirrorCursors.Scope, Token) == wanted);
    }

    [Claim("An upstream that cannot be noted at the start is noted as soon as possible, so that no later command takes another",
        Red = "it is not tried again: red")]
    [Fact]
    public async Task An_upstream_that_cannot_be_noted_at_the_start_is_noted_later()
    {
        await using var bench = await StartAsync(new MirrorOptions());
        var (store, counts) = CountedStore.Over(bench.Store);
        counts.CursorTrouble = new MirrorException(MirrorFault.StoreReadOnly, "The disk is full.", isTransient: true);
        await using var mirror = new RegistryMirror(
            store, bench.Client, bench.Known, bench.Queue, bench.News, new PackageScope(bench.Options), _ => Task.FromResult<IChangeFeed?>(null), bench.Options, TimeProvider.System, NullLoggerFactory.Instance);
        await mirror.StartAsync(Token);
        await Eventually.Async(() => counts.CountOf("SetNoteAsync") >= 2);
        Assert.Null(await bench.Store.Notes.FindNoteAsync(MirrorCursors.Upstream, Token));
        counts.CursorTrouble = null;
        await Eventually.Async(async () => await bench.Store.Notes.FindNoteAsync(MirrorCursors.Upstream, Token) == bench.Known.Identity.ToString());
    }

    private static async Task<MirrorBench> StartAsync(MirrorOptions options, params string[] packages)
    {
        options.Removed.Gone = RemovedMode.Hide;
        var bench = await MirrorBench.StartAsync(options, isClockReal: true);
        foreach (var name in packages)
        {
            bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
        }

        return bench;
    }
}
