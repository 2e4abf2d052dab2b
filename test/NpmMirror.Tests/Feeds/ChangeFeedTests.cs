using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Options;
using NpmMirror.Testing;
using NpmMirror.Tests.Upstream;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Feeds;

/// <summary>Both dialects over real connections.</summary>
public sealed class ChangeFeedTests : IAsyncLifetime
{
    private static readonly string[] Names = ["b", "日本語-ñ-😀", "@scope/a", "A", "a", "_z"];

    private FakeRegistry _registry = null!;
    private RegistryClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        foreach (var name in Names)
        {
            _registry.Publish(new FakePackage(name).Version("1.0.0"));
        }

        _client = New(_registry.Url);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _registry.DisposeAsync();
    }

    [Claim("Sequences are opaque: numbers, text, arrays",
        Red = "an array is taken for none: its row did not end")]
    [Theory]
    [InlineData(FakeFeedDialect.CouchDb, FakeSequenceStyle.Number)]
    [InlineData(FakeFeedDialect.CouchDb, FakeSequenceStyle.Text)]
    [InlineData(FakeFeedDialect.CouchDb, FakeSequenceStyle.Array)]
    [InlineData(FakeFeedDialect.NpmPaged, FakeSequenceStyle.Number)]
    public async Task Goes_on_where_it_left_off_with_any_form_of_sequence(FakeFeedDialect dialect, FakeSequenceStyle style)
    {
        (_registry.Knobs.Feed, _registry.Knobs.Sequences) = (dialect, style);
        var feed = await FindAsync(pageRows: 2);
        var rows = new List<string>();
        var since = Sequence.Zero;
        for (var isAtHead = false; !isAtHead;)
        {
            await foreach (var page in feed.ReadAsync(since, null, TestContext.Current.CancellationToken))
            {
                rows.AddRange(page.Rows.Select(row => row.Id));
                (since, isAtHead) = (page.LastSequence, page.IsAtHead);
            }
        }

        Assert.Equal(Names, rows);
        Assert.Equal((await feed.GetInfoAsync(TestContext.Current.CancellationToken)).Head, since);
    }

    [Theory]
    [InlineData(FeedMode.Longpoll)]
    [InlineData(FeedMode.Continuous)]
    public async Task A_change_arrives_while_it_is_waited_for_in_any_pieces(FeedMode mode)
    {
        _registry.Knobs.FeedPieceBytes = 1;
        var feed = new LiveChangeFeed(_client, _registry.Url, new FeedOptions { Mode = mode });
        var head = await ReadToHeadAsync(feed);
        var isAccepted = false;
        await using var waiting = feed.ReadAsync(head, () => isAccepted = true, TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        var next = waiting.MoveNextAsync();
        await _registry.Requests.WaitForAsync(request => request.Target.Contains(mode == FeedMode.Longpoll ? "feed=longpoll" : "feed=continuous", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        Assert.False(next.IsCompleted);
        var change = _registry.Publish(new FakePackage("neu-ß").Version("1.0.0"));
        Assert.True(await next);
        Assert.True(isAccepted);
        Assert.Equal(new ChangeRow(new Sequence($"{change.Sequence}"), "neu-ß", change.Revision, false), Assert.Single(waiting.Current.Rows));
    }

    [Claim("npm's paged dialect gets no request that it refuses, and its end is a page that is not full, with any rows (never-again 11)",
        With =
        [
            $"{nameof(ChangesReaderTests)}.{nameof(ChangesReaderTests.A_page_that_is_not_full_is_the_head_with_any_rows)}",
            $"{nameof(Following.RegistryMonitorTests)}.{nameof(Following.RegistryMonitorTests.The_paged_feed_is_asked_after_its_delay_or_at_once_after_a_full_page)}",
        ],
        Red = "`feed=normal` is added: the first was red; only an empty page is the head: the second; full pages are followed by the delay too: the last")]
    [Fact]
    public async Task The_paged_dialect_asks_for_nothing_that_the_service_refuses()
    {
        _registry.Knobs.Feed = FakeFeedDialect.NpmPaged;
        var feed = Assert.IsType<PagedChangeFeed>(await FindAsync(pageRows: 10_000));
        await ReadToHeadAsync(feed);
        await foreach (var _ in feed.ListAllAsync(TestContext.Current.CancellationToken))
        {
        }

        Assert.Equal(TimeSpan.FromSeconds(15), feed.IdleDelay);
        Assert.DoesNotContain(_registry.Requests.All, request => request.Status >= 400);
        Assert.Throws<ArgumentOutOfRangeException>(() => new PagedChangeFeed(_client, _registry.Url, new FeedOptions { PageRows = 10_001 }));
    }

    [Fact]
    public async Task Deletions_are_rows()
    {
        _registry.Delete("a");
        var feed = await FindAsync();
        await foreach (var page in feed.ReadAsync(Sequence.Zero, null, TestContext.Current.CancellationToken))
        {
            Assert.Equal(("a", true), (page.Rows[^1].Id, page.Rows[^1].IsDeleted));
        }
    }

    [Fact]
    public async Task An_upstream_that_falls_silent_is_given_up()
    {
        var clock = new FakeClock();
        await using var silent = new LoopbackPeer(async (request, stream, cancellationToken) =>
        {
            var isWaiting = request.Target.Contains("longpoll", StringComparison.Ordinal);
            await stream.WriteAsync(Encoding.ASCII.GetBytes(isWaiting ? "HTTP/1.1 200 OK\r\n\r\n{\"results\":[\n" : LoopbackPeer.Answer(200, """{"results":[],"last_seq":7}""")), cancellationToken);
            await (isWaiting ? Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken) : Task.CompletedTask);
        });
        using var client = New(silent.Url, clock);
        var feed = new LiveChangeFeed(client, silent.Url, new FeedOptions());
        await ReadOnceAsync(feed, new Sequence("7"));
        var waiting = ReadOnceAsync(feed, new Sequence("7"));
        await Eventually.Async(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return waiting.IsCompleted;
        });
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => waiting)).IsTransient);
    }

    [Fact]
    public async Task Heartbeats_keep_a_quiet_feed_alive()
    {
        var clock = new FakeClock();
        var beats = 0;
        await using var quiet = new LoopbackPeer(async (request, stream, cancellationToken) =>
        {
            if (!request.Target.Contains("continuous", StringComparison.Ordinal))
            {
                await stream.WriteAsync(Encoding.ASCII.GetBytes(LoopbackPeer.Answer(200, """{"results":[],"last_seq":7}""")), cancellationToken);
                return;
            }

            await stream.WriteAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray(), cancellationToken);
            for (; beats < 20; beats++)
            {
                await stream.WriteAsync("\n"u8.ToArray(), cancellationToken);
                // Each beat is read, and the wait for the next begun, before time goes on.
                await Eventually.Async(() => clock.NextDueAt == clock.GetUtcNow() + TimeSpan.FromSeconds(100));
                clock.Advance(TimeSpan.FromSeconds(25));
            }

            await stream.WriteAsync("{\"seq\":8,\"id\":\"at-last\"}\n{\"last_seq\":8}\n"u8.ToArray(), cancellationToken);
        });
        using var client = New(quiet.Url, clock);
        var feed = new LiveChangeFeed(client, quiet.Url, new FeedOptions { Mode = FeedMode.Continuous });
        await ReadOnceAsync(feed, new Sequence("7"));
        Assert.Equal("at-last", Assert.Single((await ReadOnceAsync(feed, new Sequence("7")))[0].Rows).Id);
    }

    [Theory]
    [InlineData(503, MirrorFault.UpstreamUnavailable)]
    [InlineData(429, MirrorFault.UpstreamBusy)]
    [InlineData(401, MirrorFault.UpstreamRefused)]
    [InlineData(404, MirrorFault.UpstreamMalformed)]
    public async Task Trouble_of_the_feed_is_an_error(int status, MirrorFault fault)
    {
        var feed = new LiveChangeFeed(_client, _registry.Url, new FeedOptions());
        _registry.Knobs.Fail("/_changes", status);
        Assert.Equal(fault, (await Assert.ThrowsAsync<MirrorException>(() => ReadOnceAsync(feed, Sequence.Zero))).Fault);
    }

    [Claim("D1 the list of everything, by _all_docs or the classic /-/all",
        With =
        [
            nameof(Lists_by_the_classic_route_where_only_that_answers),
            $"{nameof(Following.RegistryMirrorTests)}.{nameof(Following.RegistryMirrorTests.Loads_the_classic_list_of_everything_where_there_is_no_feed)}",
        ],
        Red = "the id that a page begins with is given again, or a page that is not full is the last: the first was red; `_updated` is taken for a name: the second")]
    [Fact]
    public async Task Lists_everything_once_page_by_page()
    {
        for (var i = 0; i < 30; i++)
        {
            _registry.Publish(new FakePackage($"p{i}").Version("1.0.0"));
        }

        var feed = new LiveChangeFeed(_client, _registry.Url, new FeedOptions { ListRows = 7 });
        var listed = new List<ListedPackage>();
        await foreach (var package in feed.ListAllAsync(TestContext.Current.CancellationToken))
        {
            listed.Add(package);
        }

        Assert.Equal(36, listed.Count);
        Assert.Equal(_registry.Names.Order(StringComparer.Ordinal), listed.Select(package => package.Id).Order(StringComparer.Ordinal));
        Assert.Contains(new ListedPackage("@scope/a", _registry.Revision("@scope/a")), listed);
    }

    [Fact]
    public async Task A_page_of_the_list_that_fails_is_asked_for_again_and_no_other()
    {
        for (var i = 0; i < 30; i++)
        {
            _registry.Publish(new FakePackage($"p{i}").Version("1.0.0"));
        }

        var clock = new FakeClock();
        using var client = New(_registry.Url, clock);
        var listing = ListAsync(new LiveChangeFeed(client, _registry.Url, new FeedOptions { ListRows = 7 }).ListAllAsync(TestContext.Current.CancellationToken), at: 8, () => _registry.Knobs.Fail("/_all_docs", 503, timesMax: 1));
        Assert.Equal(1, await clock.SkipWaitsAsync(listing, TimeSpan.FromSeconds(2)));
        var listed = await listing;
        Assert.Equal(36, listed.Count);
        Assert.Equal(36, listed.DistinctBy(package => package.Id).Count());
        Assert.Single(_registry.Requests.All, request => !request.Target.Contains("startkey", StringComparison.Ordinal));
        Assert.Single(_registry.Requests.All, request => request.Status == 503);
    }

    [Fact]
    public async Task The_classic_list_that_breaks_off_is_read_once_more()
    {
        _registry.Knobs.Feed = FakeFeedDialect.None;
        _registry.Knobs.Add(new FakeRule { Path = "/-/all", Status = 200, ContentType = "application/json", Body = """{"_updated":1,"a":{"name":"a"},"@s/b":{"name":"@s/b"}}""" });
        _registry.Knobs.Add(new FakeRule { Path = "/-/all", TimesMax = 1, CutAfterBytes = 40 });
        var clock = new FakeClock();
        using var client = New(_registry.Url, clock);
        var listing = ListAsync(new PackageList(client).ReadAsync(TestContext.Current.CancellationToken));
        Assert.Equal(1, await clock.SkipWaitsAsync(listing, TimeSpan.FromSeconds(2)));
        Assert.Equal(["a", "@s/b"], (await listing).Select(package => package.Id).Distinct());
        Assert.Equal(2, _registry.Requests.CountOf("/-/all"));
    }

    [Fact]
    public async Task Lists_by_the_classic_route_where_only_that_answers()
    {
        await using var old = new LoopbackPeer(async (request, stream, cancellationToken) =>
        {
            var answer = request.Target == "/-/all"
                ? LoopbackPeer.Answer(200, """{"_updated":1700000000000,"a":{"name":"a","time":{"modified":"x"},"versions":{"1.0.0":"latest"}},"@s/ä\u00f6":{},"b":"odd","c":{"other":{"modified":"2019-01-01T00:00:00.000Z"},"time":{"created":"2018-01-01T00:00:00.000Z","modified":"2020-01-02T03:04:05.678Z"},"more":1}}""")
                : LoopbackPeer.Answer(404, "{}");
            foreach (var one in Encoding.UTF8.GetBytes(answer))
            {
                await stream.WriteAsync(new[] { one }, cancellationToken);
            }
        });
        using var client = New(old.Url);
        var names = new List<string>();
        var times = new List<DateTimeOffset?>();
        await foreach (var package in new LiveChangeFeed(client, old.Url, new FeedOptions()).ListAllAsync(TestContext.Current.CancellationToken))
        {
            names.Add(package.Id);
            times.Add(package.ModifiedAt);
        }

        Assert.Equal(["a", "@s/äö", "b", "c"], names);
        Assert.Equal([null, null, null, new DateTimeOffset(2020, 1, 2, 3, 4, 5, 678, TimeSpan.Zero)], times);
    }

    [Theory]
    [InlineData("7", "8", false)]
    [InlineData("8", "8", false)]
    [InlineData("9", "8", true)]
    [InlineData("10", "9", true)]
    [InlineData("9-g1AAA", "8-g1AAA", true)]
    [InlineData("9-g1AAA", "10-g1AAA", false)]
    [InlineData("9-g1AAA", "9-g1BBB", false)]
    [InlineData("[10,\"g1AAA\"]", "[9,\"g1BBB\"]", true)]
    [InlineData("[9,\"g1AAA\"]", "[ 10 , \"g1BBB\"]", false)]
    [InlineData("9", "8-g1AAA", true)]
    [InlineData("g1AAA", "8", false)]
    [InlineData("9", "[]", false)]
    [InlineData("99999999999999999999-g", "8-g", false)]
    public void A_head_before_the_cursor_by_its_leading_number_is_a_reset(string cursor, string head, bool isBefore) =>
        Assert.Equal(isBefore, new FeedInfo(new Sequence(head), null, null).IsBefore(new Sequence(cursor)));

    private static RegistryClient New(Uri url, TimeProvider? time = null) =>
        new(new RegistryClientOptions { BaseUrl = url, ConnectTimeout = TimeSpan.FromSeconds(30) }, new ByteBudget(10_000_000), time ?? TimeProvider.System, NullLogger.Instance);

    private static async Task<List<ListedPackage>> ListAsync(IAsyncEnumerable<ListedPackage> list, int at = -1, Action? then = null)
    {
        var listed = new List<ListedPackage>();
        await foreach (var package in list)
        {
            listed.Add(package);
            if (listed.Count == at)
            {
                then?.Invoke();
            }
        }

        return listed;
    }

    private static async Task<List<ChangesPage>> ReadOnceAsync(IChangeFeed feed, Sequence since)
    {
        var pages = new List<ChangesPage>();
        await foreach (var page in feed.ReadAsync(since, null, TestContext.Current.CancellationToken))
        {
            pages.Add(page);
        }

        return pages;
    }

    private static async Task<Sequence> ReadToHeadAsync(IChangeFeed feed)
    {
        var page = (await ReadOnceAsync(feed, Sequence.Zero))[^1];
        Assert.True(page.IsAtHead);
        return page.LastSequence;
    }

    private async Task<IChangeFeed> FindAsync(int pageRows = 1000) =>
        (await new FeedProbe(_client, new FeedOptions { PageRows = pageRows }, NullLogger.Instance).FindAsync("auto", TestContext.Current.CancellationToken))!;
}
