using NpmMirror.Options;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Syncing;

public sealed class ReadThroughTests
{
    private static readonly PackageName Pad = PackageName.Parse("left-pad");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Many_that_wait_share_one_fetch_and_one_that_leaves_does_not_cancel_it()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        using var gate = bench.Upstream.Knobs.Hold("/left-pad");
        using var leaving = new CancellationTokenSource();
        var left = bench.ReadThrough.FindAsync(Pad, leaving.Token).AsTask();
        var waiting = Enumerable.Range(0, 50).Select(_ => bench.ReadThrough.FindAsync(Pad, Token).AsTask()).ToList();
        await gate.WaitForAsync(1, Token);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);
        gate.Open();
        Assert.All(await Task.WhenAll(waiting), answer => Assert.IsType<ReadAnswer.Found>(answer));
        Assert.Equal(1, bench.Upstream.Requests.CountOf("/left-pad"));
    }

    [Claim("Without a feed a packument older than `ttl` is compared before it is served, also from memory and on the connection; many clients share one comparison, and no client waits longer than `revalidateWait`, nor because the upstream is slow for others; stale if error",
        With =
        [
            nameof(The_first_reader_after_a_takedown_does_not_get_the_package),
            nameof(A_slow_fetch_is_waited_for_once_and_goes_on_in_the_background),
            nameof(No_other_reader_waits_while_all_allowed_checks_are_slow),
            nameof(With_a_wait_of_zero_a_document_is_served_first_and_compared_later),
            $"{nameof(AspNetCore.FreshnessTests)}.{nameof(AspNetCore.FreshnessTests.A_remembered_document_past_its_ttl_is_compared_before_it_is_served)}",
            nameof(Stale_is_served_when_the_upstream_fails),
            nameof(Asks_again_after_the_ttl_and_never_while_a_feed_is_followed),
        ],
        Red = "`Revalidation.CompareAsync` compares nothing: all but the seventh were red; it waits for an hour: the third and the fifth; it does not look how many looks are slow already: the fourth; `ReadThrough.IsServable` is always true: the sixth; `UpstreamLooks` does not note that the upstream failed: the seventh; `Revalidation` does not ask whether a feed is followed: the last")]
    [Fact]
    public async Task The_first_reader_after_the_ttl_gets_the_upstreams_present_document()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.ReadThrough.FindAsync(Pad, Token);
        bench.Clock.Advance(TimeSpan.FromMinutes(6));
        bench.Upstream.PublishVersion("left-pad", "2.0.0");
        var found = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => bench.ReadThrough.FindAsync(Pad, Token).AsTask()));
        Assert.All(found, answer => Assert.Equal(2, Assert.IsType<ReadAnswer.Found>(answer).Row.Generation));
        Assert.Equal(2, bench.Upstream.Requests.CountOf("/left-pad"));
    }

    [Fact]
    public async Task The_first_reader_after_a_takedown_does_not_get_the_package()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.ReadThrough.FindAsync(Pad, Token);
        bench.Clock.Advance(TimeSpan.FromDays(30));
        bench.Upstream.Unpublish("left-pad");
        Assert.IsType<ReadAnswer.Absent>(await bench.ReadThrough.FindAsync(Pad, Token));
    }

    [Fact]
    public async Task A_slow_fetch_is_waited_for_once_and_goes_on_in_the_background()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.ReadThrough.FindAsync(Pad, Token);
        bench.Clock.Advance(TimeSpan.FromMinutes(6));
        bench.Upstream.PublishVersion("left-pad", "2.0.0");
        using var gate = bench.Upstream.Knobs.Hold("/left-pad");
        var waiting = bench.ReadThrough.FindAsync(Pad, Token).AsTask();
        await gate.WaitForAsync(1, Token);
        Assert.False(bench.ReadThrough.IsServable((await bench.RowAsync("left-pad"))!));
        await bench.Clock.SkipWaitsAsync(waiting, bench.Options.RevalidateWait);
        Assert.Equal(1, Assert.IsType<ReadAnswer.Found>(await waiting).Row.Generation);

        // No client waits for a slow fetch: those who come now are served at once, also from memory.
        Assert.True(bench.ReadThrough.IsServable((await bench.RowAsync("left-pad"))!));
        Assert.Equal(1, Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(Pad, Token)).Row.Generation);
        gate.Open();
        await Eventually.Async(async () => (await bench.RowAsync("left-pad"))!.Generation == 2);
        Assert.Equal(2, bench.Upstream.Requests.CountOf("/left-pad"));
    }

    [Fact]
    public async Task No_other_reader_waits_while_all_allowed_checks_are_slow()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Concurrency = 2 });
        foreach (var name in new[] { "left-pad", "a", "b" })
        {
            bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
            await bench.ReadThrough.FindAsync(PackageName.Parse(name), Token);
        }

        bench.Clock.Advance(TimeSpan.FromMinutes(6));
        using var gate = bench.Upstream.Knobs.Hold("*");
        var slow = Task.WhenAll(bench.ReadThrough.FindAsync(PackageName.Parse("a"), Token).AsTask(), bench.ReadThrough.FindAsync(PackageName.Parse("b"), Token).AsTask());
        await gate.WaitForAsync(2, Token);
        await bench.Clock.SkipWaitsAsync(slow, bench.Options.RevalidateWait);
        // The upstream would not answer for this one either, and the clock stands still: a wait for it would not end.
        Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(Pad, Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Token));
        gate.Open();
    }

    [Claim("A package that a worker has waiting for its turn goes ahead when a client wants it",
        Red = "`PackageSync.Hurry` does not end the patience")]
    [Fact]
    public async Task A_package_in_line_goes_ahead_when_a_client_wants_it()
    {
        await using var bench = await MirrorBench.StartAsync(clientTime: new FakeClock());
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        using var gate = bench.Upstream.Knobs.Hold("/slow*");
        var places = new RegistryClientOptions { BaseUrl = bench.Upstream.Url }.Concurrency;
        var slow = Enumerable.Range(0, places).Select(i => bench.SyncAsync($"slow{i}", bench.Item($"slow{i}"))).ToList();
        await gate.WaitForAsync(places, Token);
        await bench.Queue.EnqueueAsync([bench.Item("left-pad")], null, Token);
        var working = bench.Queue.TryNowAsync(Pad, Token);

        Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(Pad, Token));
        Assert.IsType<SyncResult.Stored>((await working)!.Result);
        Assert.DoesNotContain(slow, one => one.IsCompleted);
        gate.Open();
        await Task.WhenAll(slow);
    }

    [Fact]
    public async Task With_a_wait_of_zero_a_document_is_served_first_and_compared_later()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { RevalidateWait = TimeSpan.Zero });
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.ReadThrough.FindAsync(Pad, Token);
        bench.Clock.Advance(TimeSpan.FromMinutes(6));
        bench.Upstream.PublishVersion("left-pad", "2.0.0");
        Assert.Equal(1, Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(Pad, Token)).Row.Generation);
        await Eventually.Async(async () => (await bench.RowAsync("left-pad"))!.Generation == 2);
    }

    [Fact]
    public async Task Stale_is_served_when_the_upstream_fails()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.ReadThrough.FindAsync(Pad, Token);
        bench.Clock.Advance(TimeSpan.FromHours(1));
        bench.Upstream.Knobs.Fail("*", 500);
        Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(Pad, Token));
        var asked = bench.Upstream.Requests.CountOf("/left-pad");
        Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(Pad, Token));
        // Once within its time to live, not with each request.
        Assert.Equal(asked, bench.Upstream.Requests.CountOf("/left-pad"));
    }

    [Fact]
    public async Task Asks_again_after_the_ttl_and_never_while_a_feed_is_followed()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        bench.Upstream.Publish(new FakePackage("other").Version("1.0.0"));
        await bench.ReadThrough.FindAsync(PackageName.Parse("other"), Token);
        await bench.ReadThrough.FindAsync(Pad, Token);
        await bench.ReadThrough.FindAsync(Pad, Token);
        await Eventually.Async(() => bench.Upstream.Requests.CountOf("/left-pad") == 1);
        bench.Clock.Advance(TimeSpan.FromMinutes(4));
        await bench.ReadThrough.FindAsync(Pad, Token);
        bench.Clock.Advance(TimeSpan.FromHours(4));
        bench.IsFollowed = () => true;
        await bench.ReadThrough.FindAsync(Pad, Token);

        // Another package is asked for afterwards: by then, a request begun earlier would have arrived.
        bench.IsFollowed = () => false;
        await bench.ReadThrough.FindAsync(PackageName.Parse("other"), Token);
        await Eventually.Async(() => bench.Upstream.Requests.CountOf("/other") == 2);
        Assert.Equal(1, bench.Upstream.Requests.CountOf("/left-pad"));
    }

    [Claim("After a start nothing held is asked for by age until it is known whether a feed tells of changes",
        Red = "it is asked at once, or where there is no feed not either: red")]
    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 1)]
    public async Task After_a_start_nothing_is_asked_for_by_age_while_the_feed_is_sought(bool hasFeed, int asked)
    {
        // With a place to begin there is no first walk, which asks for all that is held.
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { LastSeq = "now" });
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.ReadThrough.FindAsync(Pad, Token);
        bench.Clock.Advance(TimeSpan.FromHours(4));
        bench.Upstream.Requests.Clear();
        using var gate = new FakeGate();
        bench.Upstream.Knobs.Add(new FakeRule { Path = bench.Upstream.FeedUrl.AbsolutePath, Gate = gate });
        await using var mirror = bench.Mirror(hasFeed);
        await mirror.StartAsync(Token);
        await Eventually.Async(() => gate.WaitingCount > 0 || mirror.FeedLocation == "none");
        await bench.ReadThrough.FindAsync(Pad, Token);
        gate.Open();
        await Eventually.Async(() => mirror.Monitor is { IsConnected: true } || !hasFeed);
        await bench.ReadThrough.FindAsync(Pad, Token);
        bench.Upstream.Publish(new FakePackage("last").Version("1.0.0"));
        await bench.ReadThrough.FindAsync(PackageName.Parse("last"), Token);
        await Eventually.Async(() => bench.Upstream.Requests.CountOf("/left-pad") == asked);
    }

    [Fact]
    public async Task A_404_of_the_upstream_is_remembered_for_a_minute_and_trouble_never()
    {
        await using var bench = await MirrorBench.StartAsync();
        Assert.Equal(404, Assert.IsType<ReadAnswer.Absent>(await bench.ReadThrough.FindAsync(Pad, Token)).Status);
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        Assert.IsType<ReadAnswer.Absent>(await bench.ReadThrough.FindAsync(Pad, Token));
        bench.Clock.Advance(TimeSpan.FromSeconds(61));
        Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(Pad, Token));

        var other = PackageName.Parse("other");
        bench.Upstream.Publish(new FakePackage("other").Version("1.0.0"));
        var trouble = bench.Upstream.Knobs.Fail("/other", 503);
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => bench.ReadThrough.FindAsync(other, Token).AsTask())).IsTransient);
        bench.Upstream.Knobs.Remove(trouble);
        Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(other, Token));
    }

    [Fact]
    public async Task A_feed_row_and_a_refresh_end_a_remembered_404()
    {
        await using var bench = await MirrorBench.StartAsync();
        await bench.ReadThrough.FindAsync(Pad, Token);
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        bench.News.TellNamed(Pad);
        Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(Pad, Token));

        var other = PackageName.Parse("other");
        await bench.ReadThrough.FindAsync(other, Token);
        bench.Upstream.Publish(new FakePackage("other").Version("1.0.0"));
        Assert.IsType<SyncResult.Stored>(await bench.ReadThrough.RefreshAsync(other, Token));
        Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(other, Token));
    }

    [Fact]
    public async Task A_clients_request_is_durable_before_the_fetch_begins()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        using var gate = bench.Upstream.Knobs.Hold("/left-pad");
        var finding = bench.ReadThrough.FindAsync(Pad, Token).AsTask();
        await gate.WaitForAsync(1, Token);
        Assert.NotNull(await bench.Store.Queue.FindQueuedAsync(Pad, Token));
        gate.Open();
        await finding;
        Assert.Null(await bench.Store.Queue.FindQueuedAsync(Pad, Token));
    }

    [Fact]
    public async Task Removed_packages_are_hidden_or_kept_as_configured()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        bench.Upstream.Unpublish("left-pad");
        await bench.SyncAsync("left-pad");
        Assert.Contains("removed upstream", Assert.IsType<ReadAnswer.Absent>(await bench.ReadThrough.FindAsync(Pad, Token)).Reason, StringComparison.Ordinal);
        bench.Options.Removed.Unpublished = RemovedMode.Keep;
        Assert.IsType<ReadAnswer.Found>(await bench.ReadThrough.FindAsync(Pad, Token));
    }

    [Fact]
    public async Task A_worker_that_fetches_for_a_request_forwards_its_mirror_chain()
    {
        await using var bench = await MirrorBench.StartAsync(isClockReal: true);
        MirrorChain.Current = MirrorChain.Parse("one,two");
        var next = bench.Queue.NextAttemptAsync(PackageName.Parse("a"));
        MirrorChain.Current = null;
        await bench.Queue.EnqueueAsync([bench.Item("a"), bench.Item("b")], null, TestContext.Current.CancellationToken);
        await bench.Queue.DrainAsync(TestContext.Current.CancellationToken);
        await next;
        Assert.Equal("one, two", Assert.Single(bench.Upstream.Requests.All, request => request.Path == "/a").Header(MirrorChain.Header));
        Assert.Null(Assert.Single(bench.Upstream.Requests.All, request => request.Path == "/b").Header(MirrorChain.Header));
    }
}
