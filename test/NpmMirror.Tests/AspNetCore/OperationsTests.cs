using System.Net;
using System.Text.Json;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class OperationsTests
{
    [Claim("Readiness: not the upstream, but the store",
        With = [nameof(Not_ready_while_the_store_cannot_be_written_and_ready_again_by_itself)],
        Red = "`HealthEndpoint` does not answer 503: the second was red")]
    [Fact]
    public async Task Ready_while_the_upstream_is_away()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var unknown = await mirror.GetAsync("unknown");
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/health/live")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/health/ready")).StatusCode);
    }

    [Theory]
    [InlineData(MirrorFault.StoreReadOnly)]
    [InlineData(MirrorFault.StoreUnavailable)]
    public async Task Not_ready_while_the_store_cannot_be_written_and_ready_again_by_itself(MirrorFault fault)
    {
        var clock = new FakeClock();
        var (store, counts) = CountedStore.Over(new MemoryStore(clock));
        await using var mirror = await ServedMirror.StartAsync(store, time: clock);
        counts.Trouble = new MirrorException(fault, "The disk is full; make room.");
        using var full = await mirror.GetAsync("/health/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, full.StatusCode);
        Assert.Contains("make room", await full.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/health/live")).StatusCode);

        counts.Trouble = null;
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(HttpStatusCode.OK, (await mirror.GetAsync("/health/ready")).StatusCode);
    }

    [Fact]
    public async Task Not_ready_when_the_store_is_closed()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.Store.DisposeAsync();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await mirror.GetAsync("/health/ready")).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await mirror.GetAsync("ms")).StatusCode);
    }

    [Fact]
    public async Task Pings_are_answered_as_each_side_expects()
    {
        await using var mirror = await ServedMirror.StartAsync();
        Assert.Equal("pong", await mirror.TextAsync("/api/ping"));
        Assert.Equal("{}", await mirror.TextAsync("-/ping?write=true"));
    }

    [Fact]
    public async Task The_front_page_shows_nothing_that_the_request_brought()
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.PublicUrl = "https://x.example.org/a<script>\"'&");
        using var page = await mirror.GetAsync("/?<b>=1", ("Accept", "text/html"));
        var text = await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.StartsWith("text/html", page.Content.Headers.ContentType!.ToString());
        Assert.DoesNotContain("<script>", text);
        Assert.DoesNotContain("<b>", text);
        using var json = JsonDocument.Parse(await mirror.TextAsync("/"));
        Assert.EndsWith("/", json.RootElement.GetProperty("registry").GetString());
    }

    [Claim("Compatibility D4: `?refresh=1` for administrators only",
        With =
        [
            nameof(The_token_makes_an_administrator_of_anyone),
            nameof(A_refresh_that_fails_says_why_with_a_fitting_status),
            nameof(Without_a_token_only_programs_of_this_machine_administer),
        ],
        Red = "`RefreshEndpoint` does not ask `AdminAccess`: the last was red")]
    [Fact]
    public async Task An_administrator_here_fetches_at_once()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        await mirror.TextAsync("ms");
        registry.PublishVersion("ms", "2.0.0");
        Assert.Equal("{\"status\":\"OK\",\"message\":\"Package updated\"}", await mirror.TextAsync("ms?refresh=1"));
        Assert.Contains("2.0.0", await mirror.TextAsync("ms"));
    }

    [Fact]
    public async Task A_stale_edge_without_revisions_takes_no_version_away()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Knobs.HasRevision = false;
        registry.PutDocument("ms", """{"name":"ms","dist-tags":{"latest":"1.1.0"},"versions":{"1.0.0":{"name":"ms","version":"1.0.0"},"1.1.0":{"name":"ms","version":"1.1.0"}},"time":{"modified":"2020-02-01"}}"""u8.ToArray());
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        await mirror.TextAsync("ms");
        registry.PutDocument("ms", """{"name":"ms","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"ms","version":"1.0.0"}},"time":{"modified":"2020-01-01"}}"""u8.ToArray());
        using var refused = await mirror.GetAsync("ms?refresh=1");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Contains("older than the stored", await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Contains("1.1.0", await mirror.TextAsync("ms/latest"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_refresh_believes_no_304_and_says_unchanged_where_it_was(bool isChanged)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Knobs.IsNeverModified = true;
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        await mirror.TextAsync("ms");
        if (isChanged)
        {
            registry.PublishVersion("ms", "2.0.0");
        }

        Assert.Equal($$"""{"status":"OK","message":"Package {{(isChanged ? "updated" : "unchanged")}}"}""", await mirror.TextAsync("ms?refresh=1"));
        Assert.Equal(isChanged, (await mirror.TextAsync("ms")).Contains("2.0.0", StringComparison.Ordinal));
        Assert.Contains("cache=0", registry.Requests.Last("/ms")!.Target, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refresh_that_fails_says_why_with_a_fitting_status()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var absent = await mirror.GetAsync("unknown?refresh=1");
        Assert.Equal(HttpStatusCode.NotFound, absent.StatusCode);
        Assert.Contains("\"status\":\"KO\"", await absent.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        registry.Knobs.Fail("*", 500);
        using var failed = await mirror.GetAsync("other?refresh=1");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, failed.StatusCode);
        Assert.Contains("\"status\":\"KO\"", await failed.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Claim("A client on another machine, or with a wrong or empty token, is no administrator",
        Red = "AdminAccess.Refusal judges an Authorization header without a token by the peer's address")]
    [Theory]
    [InlineData("X-Forwarded-For", "127.0.0.1")]
    [InlineData("Forwarded", "for=127.0.0.1")]
    [InlineData("Via", "1.1 proxy")]
    [InlineData("Origin", "http://evil.example.org")]
    [InlineData("Sec-Fetch-Site", "cross-site")]
    [InlineData("Authorization", "Bearer secret")]
    public async Task Without_a_token_only_programs_of_this_machine_administer(string header, string value)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var answer = await mirror.GetAsync("ms?refresh=1", (header, value));
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains("admin.token", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Empty(registry.Requests.All);
    }

    [Claim("With a token only its bearer administers, from loopback too; without one only loopback does",
        With =
        [
            nameof(Without_a_token_only_programs_of_this_machine_administer),
            $"{nameof(PublicAddressesTests)}.{nameof(PublicAddressesTests.Without_a_token_only_a_program_here_administers_by_a_name_of_ours)}",
        ],
        Red = "`AdminAccess` lets this machine in although there is a token: the first was red; it lets everybody in, or a page's `Origin`, or what a proxy passed on: the second; `IsFromHere` looks at no peer, no site or no host")]
    [Theory]
    [InlineData("Accept", "*/*")]
    [InlineData("X-Forwarded-For", "127.0.0.1")]
    [InlineData("Authorization", "Bearer wrong")]
    [InlineData("Authorization", "Bearer ")]
    [InlineData("Authorization", "Basic c2VjcmV0")]
    public async Task With_a_token_only_its_bearer_administers_from_here_too(string header, string value)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, configure: options => options.Admin.Token = "secret");
        using var answer = await mirror.GetAsync("ms?refresh=1", (header, value));
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains("admin.token", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Empty(registry.Requests.All);
    }

    [Fact]
    public async Task The_token_makes_an_administrator_of_anyone()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, configure: options => options.Admin.Token = "secret");
        using var answer = await mirror.GetAsync("ms?refresh=1", ("X-Forwarded-For", "10.0.0.1"), ("Authorization", "Bearer secret"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }
}
