using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Testing;
using NpmMirror.Tests.Upstream;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Feeds;

public sealed class FeedProbeTests
{
    [Claim("auto finds the feed, an unexpected answer means none, an upstream in trouble is asked again",
        With = [nameof(Anything_but_the_expected_answer_means_none), nameof(An_upstream_in_trouble_is_asked_again_later)],
        Red = "every answer counts as the expected one: the second was red; an unreachable upstream counts as one without a feed: the third")]
    [Theory]
    [InlineData(FakeFeedDialect.CouchDb, typeof(LiveChangeFeed))]
    [InlineData(FakeFeedDialect.NpmPaged, typeof(PagedChangeFeed))]
    [InlineData(FakeFeedDialect.None, null)]
    public async Task Finds_the_feed_and_its_dialect(FakeFeedDialect dialect, Type? expected)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Knobs.Feed = dialect;
        using var client = New(registry.Url);
        Assert.Equal(expected, (await ProbeAsync(client, "auto"))?.GetType());
        Assert.Null(await ProbeAsync(client, "none"));
    }

    [Theory]
    [InlineData("npm-replicate", 200)]
    [InlineData("", 400)]
    public async Task One_sign_of_the_paged_dialect_is_enough(string engine, int longpollStatus)
    {
        await using var peer = new LoopbackPeer(request => request.Target == "/" ? LoopbackPeer.Answer(200, $$"""{"db_name":"registry","engine":"{{engine}}","doc_count":0,"update_seq":0}""")
            : LoopbackPeer.Answer(request.Target.Contains("longpoll", StringComparison.Ordinal) ? longpollStatus : 200, """{"results":[],"last_seq":0}"""));
        using var client = New(peer.Url);
        Assert.IsType<PagedChangeFeed>(await ProbeAsync(client, "auto"));
    }

    [Theory]
    [InlineData("registry/")]
    [InlineData("registry")]
    [InlineData("registry/_changes")]
    [InlineData("registry/_changes?include_docs=true")]
    public async Task Takes_a_feeds_address_as_people_write_it(string path)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Knobs.Feed = FakeFeedDialect.NpmPaged;
        using var client = New(new Uri("http://127.0.0.1:9/"));
        Assert.Equal($"{registry.Url}registry", (await ProbeAsync(client, $"{registry.Url}{path}"))?.Location);
    }

    [Theory]
    [InlineData(404, "", "application/json")]
    [InlineData(200, "<html>", "text/html")]
    [InlineData(200, "hello", "text/plain")]
    [InlineData(200, "{}", "application/json")]
    [InlineData(200, """{"name":"_changes"}""", "application/json")]
    [InlineData(401, """{"error":"no"}""", "application/json")]
    [InlineData(403, "", "text/html")]
    [InlineData(405, """{"error":"no"}""", "application/json")]
    public async Task Anything_but_the_expected_answer_means_none(int status, string body, string type)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(status, body, $"Content-Type: {type}\r\n"));
        using var client = New(peer.Url);
        Assert.Null(await ProbeAsync(client, "auto"));
    }

    [Fact]
    public async Task A_server_error_on_that_route_alone_means_none()
    {
        await using var peer = new LoopbackPeer(request => request.Target == "/" ? LoopbackPeer.Answer(200, "{}") : LoopbackPeer.Answer(500, "oops"));
        using var client = New(peer.Url);
        Assert.Null(await ProbeAsync(client, "auto"));
    }

    [Theory]
    [InlineData(503)]
    [InlineData(429)]
    public async Task An_upstream_in_trouble_is_asked_again_later(int status)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(status, "<html>", "Content-Type: text/html\r\n"));
        using var client = New(peer.Url);
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => ProbeAsync(client, "auto"))).IsTransient);
    }

    [Fact]
    public async Task An_upstream_that_is_away_is_asked_again_later()
    {
        using var client = New(new Uri("http://127.0.0.1:9/"));
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => ProbeAsync(client, "auto"))).IsTransient);
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => ProbeAsync(client, "http://127.0.0.1:9/registry"))).IsTransient);
    }

    [Theory]
    [InlineData("perhaps")]
    [InlineData("ftp://registry.example.org/")]
    public async Task An_option_that_is_no_address_is_a_fault_of_the_configuration(string feed)
    {
        using var client = New(new Uri("http://127.0.0.1:9/"));
        Assert.Equal(MirrorFault.Configuration, (await Assert.ThrowsAsync<MirrorException>(() => ProbeAsync(client, feed))).Fault);
    }

    [Fact]
    public async Task An_address_without_a_feed_is_a_fault_of_the_configuration()
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(404, "{}"));
        using var client = New(peer.Url);
        Assert.Equal(MirrorFault.Configuration, (await Assert.ThrowsAsync<MirrorException>(() => ProbeAsync(client, peer.Url.AbsoluteUri))).Fault);
    }

    [Claim("A feed on another host is warned about unless it is known to belong to the upstream",
        With = [nameof(A_foreign_feed_is_warned_about_once)],
        Red = "`FeedConvention.IsOwn` is not asked, or each look warns: the last was red")]
    [Theory]
    [InlineData("https://registry.example.org/", "https://registry.example.org/registry", false)]
    [InlineData("https://registry.example.org/", "http://registry.example.org:5984/registry", false)]
    [InlineData("https://registry.example.org/", "https://replicate.example.org/registry", false)]
    [InlineData("https://registry.example.org/", "https://couch.example.org/registry", true)]
    [InlineData("https://registry.example.org/", "https://replicate.example.com/registry", true)]
    [InlineData("https://other.example.org/", "https://replicate.example.org/registry", true)]
    public void A_feed_on_another_host_is_the_upstreams_only_if_that_is_known(string upstream, string feed, bool isForeign) =>
        Assert.Equal(!isForeign, FeedConvention.IsOwn(new Uri(upstream), new Uri(feed)));

    [Fact]
    public async Task A_foreign_feed_is_warned_about_once()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        using var client = New(new Uri("https://registry.example.org/"));
        var log = new CollectedLog();
        var probe = new FeedProbe(client, new FeedOptions(), log.For<FeedProbe>());
        await probe.FindAsync(registry.FeedUrl.AbsoluteUri, TestContext.Current.CancellationToken);
        await probe.FindAsync(registry.FeedUrl.AbsoluteUri, TestContext.Current.CancellationToken);
        Assert.Single(log.Lines, line => line.Contains("is on another host than the upstream https://registry.example.org/", StringComparison.Ordinal));
    }

    [Claim("An empty database is a live feed at once, following starts without a change, and the first change is told, also at a real pouchdb-server",
        With =
        [
            $"{nameof(Following.PouchServerTests)}.{nameof(Following.PouchServerTests.Following_an_empty_database_starts_and_tells_the_first_change)}",
        ],
        Red = "`FeedProbe` takes the silence after an empty page for trouble: the first was red")]
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_empty_database_that_awaits_its_first_change_is_a_live_feed(bool hasHeartbeat)
    {
        await using var peer = new LoopbackPeer(async (request, stream, cancellationToken) =>
        {
            if (request.Target.Contains("longpoll", StringComparison.Ordinal))
            {
                // As pouchdb-server does: the time-out that it is asked for means nothing to it.
                await stream.WriteAsync(hasHeartbeat && request.Target.Contains("heartbeat", StringComparison.Ordinal) ? "HTTP/1.1 200 OK\r\n\r\n\n"u8.ToArray() : [], cancellationToken);
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            }

            var body = request.Target == "/" ? """{"db_name":"registry","doc_count":0,"update_seq":0}""" : """{"results":[],"last_seq":0}""";
            await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(LoopbackPeer.Answer(200, body)), cancellationToken);
        });
        var clock = new FakeClock();
        using var client = new RegistryClient(new RegistryClientOptions { BaseUrl = peer.Url }, new ByteBudget(10_000_000), clock, NullLogger.Instance);
        var finding = new FeedProbe(client, new FeedOptions(), NullLogger.Instance).FindAsync("auto", TestContext.Current.CancellationToken);
        await clock.SkipWaitsAsync(finding, TimeSpan.FromSeconds(5));
        Assert.IsType<LiveChangeFeed>(await finding);
        Assert.True(clock.GetUtcNow() - new FakeClock().GetUtcNow() <= TimeSpan.FromSeconds(5));
    }

    private static RegistryClient New(Uri url) => new(new RegistryClientOptions { BaseUrl = url }, new ByteBudget(10_000_000), TimeProvider.System, NullLogger.Instance);

    private static Task<IChangeFeed?> ProbeAsync(RegistryClient client, string feed) =>
        new FeedProbe(client, new FeedOptions(), NullLogger.Instance).FindAsync(feed, TestContext.Current.CancellationToken);
}
