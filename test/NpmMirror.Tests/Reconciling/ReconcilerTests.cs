using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Log;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Reconciling;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Packuments;
using NpmMirror.Tests.Syncing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Reconciling;

public sealed class ReconcilerTests(ITestOutputHelper output)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A reconciliation finds the same as a plain difference of sets, with a list in any collation",
        With =
        [
            nameof(A_listed_package_is_queued_for_the_listed_rev),
            nameof(A_lost_row_of_the_feed_is_found_by_the_list),
            $"{nameof(ListSpoolTests)}.{nameof(ListSpoolTests.Returns_each_name_once_in_the_order_of_bytes)}",
        ],
        Red = "`IsCurrent` does not compare the upstream, takes no rev for a current one, or does not look at the graveyard; `ListJoin` compares by UTF-16: the first was red; `BulkQueue` drops the rev: the second; what is stale is not queued: the third; `ListSpool` sorts by UTF-16, sorts no piece that it spills, or gives back a name twice: the last")]
    [Fact]
    public async Task Finds_the_difference_of_two_sets_in_any_collation()
    {
        var seed = FuzzSeed.Next(output);
        for (var round = 0; round < 60; round++)
        {
            var random = new Random(seed + round);
            var mode = (MetadataMode)random.Next(2);
            await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Metadata = mode });
            var held = new Dictionary<string, (string? Rev, bool IsRemoved, bool IsOurs)>();
            var list = new Dictionary<string, string?>();
            for (var i = 0; i < random.Next(300); i++)
            {
                var name = NameOf(random, i);
                if (random.Next(4) > 0)
                {
                    held[name] = (random.Next(8) == 0 ? null : $"{random.Next(1, 3)}-x", random.Next(6) == 0, random.Next(9) > 0);
                    await HoldAsync(bench, name, held[name].Rev, held[name].IsRemoved, held[name].IsOurs);
                }

                if (random.Next(5) > 0)
                {
                    list[name] = random.Next(8) == 0 ? null : $"{random.Next(1, 3)}-x";
                }
            }

            // In no order, some twice, and with an id that is no package.
            var ids = list.Keys.Concat(list.Keys.Take(3)).OrderBy(_ => random.Next()).Append("_design/app");
            var found = await Reconciler(bench).RunAsync(ids.Select(id => new ListedPackage(id, list.GetValueOrDefault(id))).ToAsyncEnumerable(), null, Token);

            string[] missing = [.. list.Keys.Where(id => !held.ContainsKey(id) && mode == MetadataMode.All)];
            string[] stale = [.. list.Where(l => held.TryGetValue(l.Key, out var h) && (h.IsRemoved || !h.IsOurs || l.Value is null || h.Rev != l.Value)).Select(l => l.Key)];
            string[] vanished = [.. held.Where(h => !h.Value.IsRemoved && !list.ContainsKey(h.Key)).Select(h => h.Key)];
            var isTooMuch = vanished.Length > 50;
            Assert.Equal((missing.Length, stale.Length, vanished.Length, isTooMuch), ((int)found.Missing, (int)found.Stale, (int)found.Vanished, found.HeldBack is not null));
            Assert.Equal(missing.Concat(stale).Concat(isTooMuch ? [] : vanished).Order(StringComparer.Ordinal), (await QueuedAsync(bench)).Select(item => item.Name.Value).Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public async Task Of_listed_unpublished_packages_only_one_that_returned_is_asked_for()
    {
        await using var bench = await MirrorBench.StartAsync();
        foreach (var name in new[] { "unpublished", "back" })
        {
            bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
            await bench.SyncAsync(name);
            bench.Upstream.Unpublish(name);
            Assert.IsType<SyncResult.Removed>(await bench.SyncAsync(name));
        }

        bench.Upstream.Publish(new FakePackage("back").Version("2.0.0"));
        var list = List(("back", bench.Upstream.Revision("back")!), ("unpublished", bench.Upstream.Revision("unpublished")!));
        Assert.Equal(1, (await Reconciler(bench).RunAsync(list, null, Token)).Stale);
        Assert.Equal("back", Assert.Single(await QueuedAsync(bench)).Name.Value);
    }

    [Claim("A list that is too short is doubted, whatever packages are missing on it",
        Red = "`RemovalBreaker` compares the counts only where something vanished")]
    [Fact]
    public async Task A_list_that_is_too_short_is_doubted_even_if_it_names_all_held()
    {
        await using var bench = await MirrorBench.StartAsync();
        await HoldAsync(bench, "a", "1-a");
        Assert.NotNull((await Reconciler(bench).RunAsync(List(("a", "1-a")), 100, Token)).HeldBack);
    }

    [Fact]
    public async Task A_listed_package_is_queued_for_the_listed_rev()
    {
        await using var bench = await MirrorBench.StartAsync();
        await HoldAsync(bench, "stale", "1-a");
        await Reconciler(bench).RunAsync(List(("stale", "2-b")), null, Token);
        Assert.Equal(("stale", "2-b"), Assert.Single(await QueuedAsync(bench)) is var item ? (item.Name.Value, item.WantedRev) : default);
    }

    [Claim("The removal breaker: a night in which many packages vanished and a list that is too short remove nothing, the log, `status` and the exit code say so, `--accept-removals` lets removals go on",
        With =
        [
            nameof(A_list_shorter_than_the_upstream_says_removes_nothing),
            nameof(The_breaker_lets_half_a_per_cent_of_many_pass_and_fifty_of_few),
            $"{nameof(Cli.ReconcileTests)}.{nameof(Cli.ReconcileTests.Holds_a_bad_night_back_says_so_and_goes_on_when_told)}",
        ],
        Red = "`FindReason` does not count what vanished: the first and the third were red; it does not look at the length of the list: the second; what is doubted is queued all the same: the first two; the exit code does not tell: the last")]
    [Fact]
    public async Task A_night_in_which_most_vanished_removes_nothing_unless_it_is_accepted()
    {
        var log = new CollectedLog();
        await using var bench = await MirrorBench.StartAsync();
        foreach (var i in Enumerable.Range(0, 60))
        {
            await HoldAsync(bench, $"p{i}", "1-a");
        }

        var found = await Reconciler(bench, log.For<Reconciler>()).RunAsync(List(("p0", "1-a")), null, Token);
        Assert.Equal(59, found.Vanished);
        Assert.Empty(await QueuedAsync(bench));
        Assert.Contains(log.Lines, line => line.Contains("held back", StringComparison.Ordinal) && line.Contains("59 of 60", StringComparison.Ordinal));
        Assert.Equal(found, await Reconciliation.ReadAsync(bench.Store, Token));

        bench.Options.AcceptRemovals = true;
        Assert.Null((await Reconciler(bench).RunAsync(List(("p0", "1-a")), null, Token)).HeldBack);
        Assert.Equal(59, (await QueuedAsync(bench)).Count);
    }

    [Theory]
    [InlineData(100, 97, true)]
    [InlineData(100, 98, false)]
    [InlineData(null, 97, false)]
    public async Task A_list_shorter_than_the_upstream_says_removes_nothing(int? told, int listed, bool isHeldBack)
    {
        await using var bench = await MirrorBench.StartAsync();
        await HoldAsync(bench, "vanished", "1-a");
        await HoldAsync(bench, "p0", "1-a");
        var found = await Reconciler(bench).RunAsync(List([.. Enumerable.Range(0, listed).Select(i => ($"p{i}", (string?)"1-a"))]), told, Token);
        Assert.Equal(isHeldBack, found.HeldBack is not null);
        Assert.Equal(isHeldBack ? 0 : 1, (await QueuedAsync(bench)).Count);
    }

    [Claim("A name that the list told twice does not make up for one that it left out",
        Red = "`ListSpool.ReadSorted` gives a name as often as it came")]
    [Fact]
    public async Task A_name_that_came_twice_does_not_make_up_for_one_that_did_not_come()
    {
        await using var bench = await MirrorBench.StartAsync();
        await HoldAsync(bench, "vanished", "1-a");
        var list = Enumerable.Range(0, 97).Select(i => ($"p{i}", (string?)"1-a"));
        var found = await Reconciler(bench).RunAsync(List([.. list, .. list, ("_design/x", "1-a")]), 100, Token);
        Assert.Equal(98, found.Listed);
        found = await Reconciler(bench).RunAsync(List([.. list, .. list]), 100, Token);
        Assert.NotNull(found.HeldBack);
    }

    [Fact]
    public void The_breaker_lets_half_a_per_cent_of_many_pass_and_fifty_of_few()
    {
        Assert.Null(RemovalBreaker.FindReason(22_000, 4_400_000, 4_378_000, 4_400_000));
        Assert.NotNull(RemovalBreaker.FindReason(22_001, 4_400_000, 4_378_000, 4_400_000));
        Assert.Null(RemovalBreaker.FindReason(50, 60, 10, null));
        Assert.NotNull(RemovalBreaker.FindReason(51, 60, 10, null));
        Assert.NotNull(RemovalBreaker.FindReason(0, 60, 10, 1000));
        Assert.Null(RemovalBreaker.FindReason(0, 60, 10, 10));
    }

    [Claim("A list that breaks off queues nothing, and the next reconciliation finds all",
        With = [$"{nameof(Cli.ReconcileTests)}.{nameof(Cli.ReconcileTests.A_list_that_cannot_be_read_is_a_failure_and_changes_nothing)}"],
        Red = "the end of a list that breaks off is taken for its end: both were red; a reconciliation counts as ended when it begins: the first was red")]
    [Fact]
    public async Task A_list_that_breaks_off_queues_nothing_and_the_next_finds_all()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Metadata = MetadataMode.All });
        await HoldAsync(bench, "gone", "1-a");
        await Assert.ThrowsAsync<MirrorException>(() => Reconciler(bench).RunAsync(BreakingOff(), null, Token));
        Assert.Empty(await QueuedAsync(bench));
        Assert.Null(await Reconciliation.ReadAsync(bench.Store, Token));
        Assert.Equal("The connection broke.", (await UnfinishedReconciliation.ReadAsync(bench.Store, Token))!.Failure);

        await Reconciler(bench).RunAsync(List(("a", "1-a"), ("b", "1-a")), null, Token);
        Assert.Equal(["a", "b", "gone"], (await QueuedAsync(bench)).Select(item => item.Name.Value));
        Assert.Null(await UnfinishedReconciliation.ReadAsync(bench.Store, Token));
    }

    [Claim("A package that vanished from the list is removed only after two 404s",
        Red = "what vanished is queued as a deletion that the feed flagged, or one 404 is believed")]
    [Fact]
    public async Task An_unlisted_package_stays_until_its_second_404()
    {
        await using var bench = await MirrorBench.StartAsync(isClockReal: true);
        foreach (var name in new[] { "living", "unlisted", "deleted" })
        {
            bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
            await bench.SyncAsync(name);
        }

        bench.Upstream.Knobs.Unlisted["unlisted"] = true;
        bench.Upstream.Delete("deleted");
        bench.Upstream.Knobs.DocumentCount = 1;
        await using var mirror = bench.Mirror();
        var (found, mended) = await mirror.ReconcileOnceAsync(Token);
        Assert.Equal((2, 1), (found.Vanished, mended.InDoubt));
        Assert.Null((await bench.RowAsync("deleted"))!.Facts.Removal);

        var item = Assert.Single(await QueuedAsync(bench));
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("deleted", item with { MissingSince = item.MissingSince - TimeSpan.FromMinutes(11) }));
        Assert.Null((await bench.RowAsync("unlisted"))!.Facts.Removal);
    }

    [Claim("A package stored by a process that follows no feed is not stale for one that does, and the other way round",
        Red = "`UpstreamIdentity.CouldBeSame` holds an unknown database for another one")]
    [Fact]
    public async Task Documents_stored_before_the_database_is_known_are_not_stale_later()
    {
        await using var bench = await MirrorBench.StartAsync(isClockReal: true);
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        bench.Upstream.Publish(new FakePackage("changed").Version("1.0.0"));
        await bench.SyncAsync("a");
        await bench.SyncAsync("changed");
        bench.Upstream.PublishVersion("changed", "2.0.0");
        await using var mirror = bench.Mirror();
        Assert.Equal(1, (await mirror.ReconcileOnceAsync(Token)).Found.Stale);
        Assert.Contains('#', bench.Known.Identity.ToString());

        // And the other way round: a process beside it that follows nothing asks conditionally, and regresses nothing.
        bench.Known.Note(UpstreamIdentity.Parse(bench.Known.Identity.ToString().Split('#')[0]));
        bench.Upstream.Requests.Clear();
        await bench.SyncAsync("changed");
        Assert.Equal(304, bench.Upstream.Requests.All[^1].Status);

        bench.Known.Note(UpstreamIdentity.Parse(bench.Known.Identity + "#another"));
        Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("changed"));
        Assert.Equal(200, bench.Upstream.Requests.All[^1].Status);
    }

    [Claim("A reconciliation that is refused, fails or is cut short leaves the record of the last whole one",
        With = [$"{nameof(Cli.ReconcileTests)}.{nameof(Cli.ReconcileTests.A_list_that_cannot_be_read_is_a_failure_and_changes_nothing)}"],
        Red = "a refused one is kept as a good one")]
    [Fact]
    public async Task A_refused_reconciliation_leaves_the_record_of_the_last_good_one()
    {
        await using var bench = await MirrorBench.StartAsync(isClockReal: true);
        await using var mirror = bench.Mirror();
        var (found, _) = await mirror.ReconcileOnceAsync(Token);
        bench.Upstream.Knobs.Feed = FakeFeedDialect.None;
        await using var without = bench.Mirror(hasFeed: false);
        Assert.Equal(MirrorFault.Configuration, (await Assert.ThrowsAsync<MirrorException>(() => without.ReconcileOnceAsync(Token))).Fault);
        Assert.Equal(found, await Reconciliation.ReadAsync(bench.Store, Token));
        Assert.NotNull((await UnfinishedReconciliation.ReadAsync(bench.Store, Token))!.Failure);
    }

    [Fact]
    public async Task A_lost_row_of_the_feed_is_found_by_the_list()
    {
        await using var bench = await MirrorBench.StartAsync(isClockReal: true);
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        await bench.SyncAsync("a");
        bench.Upstream.PublishVersion("a", "2.0.0");
        await using var mirror = bench.Mirror();
        Assert.Equal(1, (await mirror.ReconcileOnceAsync(Token)).Mended.Changed);
        Assert.Equal(0, (await mirror.ReconcileOnceAsync(Token)).Found.Stale);
    }

    private static Reconciler Reconciler(MirrorBench bench, ILogger? logger = null) =>
        new(bench.Store, bench.Queue, new PackageScope(bench.Options), bench.Known, bench.Options, bench.Clock, logger ?? NullLogger.Instance);

    private static IAsyncEnumerable<ListedPackage> List(params (string Id, string? Rev)[] rows) => rows.Select(row => new ListedPackage(row.Id, row.Rev)).ToAsyncEnumerable();

    private static async IAsyncEnumerable<ListedPackage> BreakingOff()
    {
        yield return new ListedPackage("a", "1-a");
        await Task.Yield();
        throw new MirrorException(MirrorFault.UpstreamUnavailable, "The connection broke.", isTransient: true);
    }

    private static async Task HoldAsync(MirrorBench bench, string name, string? rev, bool isRemoved = false, bool isOurs = true)
    {
        var facts = new PackageFacts
        {
            Rev = rev,
            Upstream = isOurs ? bench.Known.Identity.ToString() : "https://registry.example.org/",
            Removal = isRemoved ? RemovalKind.Gone : null,
            FirstSeenAt = bench.Clock.GetUtcNow(),
            StoredAt = bench.Clock.GetUtcNow(),
        };
        await bench.Store.Packages.CommitAsync(new PackageCommit { Name = PackageName.Parse(name), ExpectedGeneration = 0, Facts = facts, Document = DocumentCodecs.Encode("{}"u8), Events = [] }, Token);
    }

    private static async Task<List<QueueItem>> QueuedAsync(MirrorBench bench) => await bench.Store.Queue.ListQueuedAsync(Token).ToListAsync(Token);

    private static string NameOf(Random random, int i) => $"{(random.Next(4) == 0 ? $"@{(char)('a' + random.Next(4))}/" : "")}{"aAbBzZ_-.~ä\uff5e\U0001f600".EnumerateRunes().ElementAt(random.Next(13))}{(random.Next(3) == 0 ? "\U0001f600" : "")}{i}";
}
