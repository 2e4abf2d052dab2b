using System.Net;
using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>A service of the upstream that is busy, broken or silent stops neither following and fetching nor the other services.</summary>
public sealed class UpstreamPauseTests : IAsyncLifetime
{
    private const string Audit = "-/npm/v1/security/advisories/bulk";
    private const string Search = "-/v1/search?text=ms";
    private const string Keys = "-/npm/v1/keys";
    private const string Attestations = "-/npm/v1/attestations/ms@1.0.0";

    private static readonly string[] All = [Audit, Search, Keys, Attestations];

    private readonly FakeClock _clock = new();
    private FakeRegistry _registry = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string, int> Refusals => new(from path in All from status in (int[])[429, 502, 503, 504, 0] select (path, status));

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        _registry.Publish(new FakePackage("ms").Version("1.0.0"));
        _registry.Attestations["ms@1.0.0"] = new() { ["attestations"] = new System.Text.Json.Nodes.JsonArray() };
    }

    public ValueTask DisposeAsync() => _registry.DisposeAsync();

    [Claim("A busy, broken or silent service pauses only itself, as long as the upstream asks and at most 10 min; one package's failure pauses no service",
        With =
        [
            nameof(Trouble_with_one_package_makes_no_service_away),
            nameof(A_package_that_never_comes_stops_no_other),
            nameof(A_500_of_one_search_is_about_that_search),
            $"{nameof(ForwardedAnswerTests)}.{nameof(ForwardedAnswerTests.How_long_the_upstream_asks_to_wait_is_told_on)}",
            $"{nameof(Upstream.RequestPausesTests)}.{nameof(Upstream.RequestPausesTests.Each_purpose_of_each_host_pauses_by_itself)}",
            $"{nameof(Upstream.RequestPausesTests)}.{nameof(Upstream.RequestPausesTests.No_pause_is_longer_than_the_longest_or_shorter_than_the_first)}",
            $"{nameof(Upstream.RequestPausesTests)}.{nameof(Upstream.RequestPausesTests.Pauses_grow_until_an_answer_comes)}",
        ],
        Red = "`RequestPauses` has one pause for all purposes: the second and the sixth were red; `UpstreamTransport` pauses fetching after one package that never comes: the third; it takes a 500 for a busy service: the fourth; `Forwarder` does not tell `Retry-After` on: the fifth; a pause may last a day: the seventh; an answer does not end its growth: the last")]
    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task A_refusal_pauses_its_own_kind_and_nothing_else(string refused, int status)
    {
        await using var mirror = await ServedMirror.StartAsync(upstream: _registry.Url, time: _clock);
        var path = "/" + refused.Split('?')[0];
        var rule = _registry.Knobs.Add(status == 0 ? new FakeRule { Path = path, Hangs = true } : new FakeRule { Path = path, Status = status, RetryAfter = "120" });
        var asking = AskAsync(mirror, refused);
        if (status == 0)
        {
            await Eventually.Async(() => _registry.Requests.All.Count(request => request.Path == path) == 1);
            _clock.Advance(TimeSpan.FromSeconds(31));
        }

        Assert.Equal(HttpStatusCode.ServiceUnavailable, await asking);
        _registry.Knobs.Remove(rule);

        // Told at once, without asking.
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await AskAsync(mirror, refused));
        Assert.Equal(1, _registry.Requests.All.Count(request => request.Path == path));
        var upstream = mirror.Mirror.Upstream;
        Assert.False(upstream.IsAway);
        Assert.True(upstream.WaitForTurnAsync(Cancelled).AsTask().IsCompletedSuccessfully);
        Assert.Contains("1.0.0", await mirror.TextAsync("ms"));
        foreach (var other in All.Except([refused]))
        {
            Assert.Equal((other, HttpStatusCode.OK), (other, await AskAsync(mirror, other)));
        }

        _clock.Advance(TimeSpan.FromSeconds(121));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(mirror, refused));
    }

    [Theory]
    [InlineData(500, null)]
    [InlineData(503, null)]
    [InlineData(429, "60")]
    [InlineData(503, "60")]
    public async Task Trouble_with_one_package_makes_no_service_away(int status, string? retryAfter)
    {
        _registry.Knobs.Fail("/broken", status, retryAfter: retryAfter);
        await using var mirror = await ServedMirror.StartAsync(upstream: _registry.Url, time: _clock);
        using var broken = await mirror.GetAsync("broken");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, broken.StatusCode);
        foreach (var path in All)
        {
            Assert.Equal((path, HttpStatusCode.OK), (path, await AskAsync(mirror, path)));
        }
    }

    [Fact]
    public async Task A_package_that_never_comes_stops_no_other()
    {
        _registry.Knobs.Add(new FakeRule { Path = "/broken", Hangs = true });
        await using var mirror = await ServedMirror.StartAsync(upstream: _registry.Url, time: _clock);
        var broken = AskAsync(mirror, "broken");
        await Eventually.Async(() => _registry.Requests.CountOf("/broken") == 1);
        _clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await broken);
        Assert.True(mirror.Mirror.Upstream.WaitForTurnAsync(Cancelled).AsTask().IsCompletedSuccessfully);
        foreach (var path in All.Append("ms"))
        {
            Assert.Equal((path, HttpStatusCode.OK), (path, await AskAsync(mirror, path).WaitAsync(TimeSpan.FromSeconds(30), Cancelled)));
        }
    }

    [Fact]
    public async Task A_500_of_one_search_is_about_that_search()
    {
        _registry.Knobs.Fail("/-/v1/search", 500, timesMax: 1);
        await using var mirror = await ServedMirror.StartAsync(upstream: _registry.Url, time: _clock);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await AskAsync(mirror, Search));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(mirror, Search));
    }

    [Claim("A pause is told by the store, for `status`, and by metrics until it is over",
        With =
        [
            nameof(A_noted_pause_that_is_over_or_absurdly_long_is_not_shown),
            $"{nameof(Cli.BesideServeTests)}.{nameof(Cli.BesideServeTests.Status_tells_pauses_in_requests_to_the_upstream)}",
        ],
        Red = "`PauseWatch` notes nothing, measures nothing or never ends: the first was red; `NotedPause.ReadAsync` gives what is over, or years long: the second")]
    [Fact]
    public async Task A_pause_is_seen_in_the_store_and_in_metrics_until_it_is_over()
    {
        await using var store = new MemoryStore(_clock);
        await using var mirror = await ServedMirror.StartAsync(store, _registry.Url, time: _clock);
        _registry.Knobs.Fail("/-/v1/search", 429, timesMax: 1, retryAfter: "120");
        await AskAsync(mirror, Search);
        IReadOnlyList<NotedPause> noted = [];
        await Eventually.Async(async () =>
        {
            _clock.Advance(TimeSpan.FromSeconds(0.1));
            noted = await NotedPause.ReadAsync(store, _clock.GetUtcNow(), Cancelled);
            return noted.Count > 0;
        });
        var pause = Assert.Single(noted);
        Assert.Equal((_registry.Url.Authority, RequestPurpose.Search, "it answered 429"), (pause.Host, pause.Purpose, pause.Reason));
        Assert.InRange(pause.Until - _clock.GetUtcNow(), TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(120));
        var metrics = await mirror.TextAsync("/metrics");
        Assert.Contains("npm_mirror_upstream_pauses_total{purpose=\"Search\"}", metrics, StringComparison.Ordinal);
        Assert.Matches("npm_mirror_upstream_pause_left_seconds\\{purpose=\"Search\"\\} [1-9]", metrics);

        _clock.Advance(TimeSpan.FromSeconds(121));
        Assert.Empty(await NotedPause.ReadAsync(store, _clock.GetUtcNow(), Cancelled));
        await Eventually.Async(async () =>
        {
            _clock.Advance(TimeSpan.FromSeconds(0.1));
            return await store.Notes.FindNoteAsync(MirrorCursors.Pauses, Cancelled) is null;
        });
        Assert.Contains("npm_mirror_upstream_pause_left_seconds{purpose=\"Search\"} 0\n", await mirror.TextAsync("/metrics"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(400 * 86_400)]
    public async Task A_noted_pause_that_is_over_or_absurdly_long_is_not_shown(int seconds)
    {
        await using var store = new MemoryStore(_clock);
        await NotedPause.WriteAsync(store, [new NotedPause("registry.example.org", RequestPurpose.Audit, _clock.GetUtcNow().AddSeconds(seconds), "busy")], Cancelled);
        Assert.Empty(await NotedPause.ReadAsync(store, _clock.GetUtcNow(), Cancelled));
    }

    private static async Task<HttpStatusCode> AskAsync(ServedMirror mirror, string path)
    {
        using var request = new HttpRequestMessage(path == Audit ? HttpMethod.Post : HttpMethod.Get, path) { Content = path == Audit ? new StringContent("{}") : null };
        using var answer = await mirror.SendAsync(request);
        return answer.StatusCode;
    }
}
