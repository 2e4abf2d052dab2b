using System.Net;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Versions in a client's request that the held packument does not have yet: lockfiles are made elsewhere.</summary>
public sealed class NewerLockfileTests : IAsyncLifetime
{
    private static readonly string[] Wanted = ["left-pad/-/left-pad-2.0.0.tgz", "left-pad/2.0.0", "left-pad/next"];

    private FakeRegistry _registry = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync(cancellationToken: Token);
        _registry.Publish(new FakePackage("left-pad").Version("1.0.0"));
    }

    public async ValueTask DisposeAsync() => await _registry.DisposeAsync();

    public static TheoryData<string, string, bool> Requests()
    {
        var data = new TheoryData<string, string, bool>();
        foreach (var path in Wanted)
        {
            data.Add("GET", path, true);
            data.Add("GET", path, false);
            data.Add("HEAD", path, false);
        }

        return data;
    }

    [Claim("A version, tag or tarball that the held packument lacks is looked for upstream before it is a 404, with and without a feed, by GET and HEAD; many requests share one look, invented names cost one request a second, a failure is no 404",
        With =
        [
            nameof(A_crowd_shares_one_look_and_a_cache_on_the_way_does_not_count),
            nameof(An_absent_version_is_looked_for_once_within_its_time),
            nameof(Invented_versions_cost_one_upstream_request_a_second_at_most),
            nameof(A_packument_fetched_for_this_request_is_not_compared_again),
            nameof(Trouble_upstream_is_no_404_and_not_remembered),
        ],
        Red = "`VersionSearch.LookAsync` looks nowhere: the first was red; the look believes a cache on the way: the second; it remembers nothing: the third; it does not wait a second between looks: the fourth; it looks again for what was fetched for this very request: the fifth; trouble counts as looked at: the last")]
    [Theory]
    [MemberData(nameof(Requests))]
    public async Task A_version_of_the_upstream_is_found_although_the_packument_is_young(string method, string path, bool isFollowed)
    {
        await using var mirror = await StartAsync();
        mirror.IsFollowed = isFollowed;
        PublishNext();
        using var answer = await AskAsync(mirror, method, path);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains("2.0.0", await mirror.TextAsync("left-pad"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_crowd_shares_one_look_and_a_cache_on_the_way_does_not_count()
    {
        await using var mirror = await StartAsync();
        PublishNext();
        using var gate = _registry.Knobs.Hold("/left-pad");
        var asking = Enumerable.Range(0, 40).Select(_ => AskAsync(mirror, "GET", Wanted[0])).ToList();
        await gate.WaitForAsync(1, Token);
        await Eventually.Async(() => mirror.RequestsSeen == 41);
        gate.Open();
        var answers = await Task.WhenAll(asking);
        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
        Assert.Equal(2, _registry.Requests.CountOf("/left-pad"));
        Assert.Contains("cache=0", _registry.Requests.Last("/left-pad")!.Target, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_absent_version_is_looked_for_once_within_its_time()
    {
        var clock = new FakeClock();
        await using var mirror = await StartAsync(clock);
        for (var i = 0; i < 5; i++)
        {
            Assert.All(await StatusesAsync(mirror), status => Assert.Equal(404, status));
            // A document fetched before a request is compared again, unless the absence is remembered.
            clock.Advance(TimeSpan.FromSeconds(10));
        }

        Assert.Equal(2, _registry.Requests.CountOf("/left-pad"));
        clock.Advance(TimeSpan.FromSeconds(61));
        PublishNext();
        Assert.All(await StatusesAsync(mirror), status => Assert.Equal(200, status));
        Assert.Equal(3, _registry.Requests.CountOf("/left-pad"));

        async Task<int[]> StatusesAsync(ServedMirror asked)
        {
            using var answer = await AskAsync(asked, "GET", Wanted[0]);
            return [(int)answer.StatusCode];
        }
    }

    [Fact]
    public async Task Invented_versions_cost_one_upstream_request_a_second_at_most()
    {
        var clock = new FakeClock();
        await using var mirror = await StartAsync(clock);
        using var first = await AskAsync(mirror, "GET", "left-pad/9.0.0");
        Assert.Equal(2, _registry.Requests.CountOf("/left-pad"));
        clock.Advance(TimeSpan.FromMilliseconds(100));
        var others = Enumerable.Range(1, 30).Select(i => AskAsync(mirror, "GET", $"left-pad/9.0.{i}")).ToList();
        await Eventually.Async(() => mirror.RequestsSeen >= 32 && clock.HasTimerBetween(TimeSpan.FromMilliseconds(900), TimeSpan.FromMilliseconds(900)));
        Assert.Equal(2, _registry.Requests.CountOf("/left-pad"));
        await clock.SkipWaitsAsync(Task.WhenAll(others), TimeSpan.FromSeconds(1));
        Assert.All(await Task.WhenAll(others), answer => Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode));
        Assert.Equal(3, _registry.Requests.CountOf("/left-pad"));
    }

    [Fact]
    public async Task A_packument_fetched_for_this_request_is_not_compared_again()
    {
        await using var mirror = await ServedMirror.StartAsync(upstream: _registry.Url);
        using var answer = await AskAsync(mirror, "GET", "left-pad/9.9.9");
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal(1, _registry.Requests.CountOf("/left-pad"));
    }

    [Fact]
    public async Task Trouble_upstream_is_no_404_and_not_remembered()
    {
        var clock = new FakeClock();
        await using var mirror = await StartAsync(clock);
        PublishNext();
        var trouble = _registry.Knobs.Fail("/left-pad", 500);
        using var failed = await AskAsync(mirror, "GET", Wanted[0]);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, failed.StatusCode);
        Assert.NotNull(failed.Headers.RetryAfter);
        _registry.Knobs.Remove(trouble);
        clock.Advance(TimeSpan.FromSeconds(1));
        using var found = await AskAsync(mirror, "GET", Wanted[0]);
        Assert.Equal(HttpStatusCode.OK, found.StatusCode);
    }

    [Claim("Such a look brings no takedown back",
        With = [nameof(A_takedown_found_by_a_look_is_refused_and_not_asked_for_again)],
        Red = "`PackumentEndpoint` or `TarballEndpoint` does not ask `PackageVisibility` before it looks: the second was red")]
    [Fact]
    public async Task A_version_that_was_taken_down_stays_away()
    {
        PublishNext();
        await using var mirror = await StartAsync();
        _registry.UnpublishVersion("left-pad", "2.0.0");
        await mirror.TextAsync("left-pad?refresh=1");
        foreach (var path in Wanted)
        {
            using var answer = await AskAsync(mirror, "GET", path);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }
    }

    [Fact]
    public async Task A_takedown_found_by_a_look_is_refused_and_not_asked_for_again()
    {
        await using var mirror = await StartAsync();
        _registry.TakeDown("left-pad");
        using var first = await AskAsync(mirror, "GET", Wanted[0]);
        Assert.Equal(HttpStatusCode.UnavailableForLegalReasons, first.StatusCode);
        var asked = _registry.Requests.CountOf("/left-pad");
        foreach (var path in Wanted)
        {
            using var answer = await AskAsync(mirror, "GET", path);
            Assert.Equal(HttpStatusCode.UnavailableForLegalReasons, answer.StatusCode);
        }

        Assert.Equal(asked, _registry.Requests.CountOf("/left-pad"));
    }

    private async Task<ServedMirror> StartAsync(FakeClock? clock = null)
    {
        var mirror = await ServedMirror.StartAsync(upstream: _registry.Url, time: clock);
        await mirror.TextAsync("left-pad");
        clock?.Advance(TimeSpan.FromSeconds(2));
        return mirror;
    }

    private void PublishNext()
    {
        _registry.PublishVersion("left-pad", "2.0.0");
        _registry.Tag("left-pad", "next", "2.0.0");
    }

    private static Task<HttpResponseMessage> AskAsync(ServedMirror mirror, string method, string path) =>
        mirror.SendAsync(new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative)));
}
