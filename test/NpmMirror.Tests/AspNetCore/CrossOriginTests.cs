using System.Net;
using NpmMirror.Options;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Which answers the pages of other sites may read.</summary>
public sealed class CrossOriginTests
{
    private static readonly (string, string)[] FromElsewhere = [("Origin", "https://page.example.org")];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("", CrossOriginMode.Auto, true)]
    [InlineData("", CrossOriginMode.Always, true)]
    [InlineData("", CrossOriginMode.Never, false)]
    [InlineData("me:secret@", CrossOriginMode.Auto, false)]
    [InlineData("me:secret@", CrossOriginMode.Always, true)]
    [InlineData("me:secret@", CrossOriginMode.Never, false)]
    public async Task Only_answers_of_an_anonymous_upstream_unless_configured(string user, CrossOriginMode mode, bool isShared)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        var upstream = new Uri(registry.Url.AbsoluteUri.Replace("://", "://" + user, StringComparison.Ordinal));
        await using var mirror = await ServedMirror.StartAsync(upstream: upstream, configure: options => options.CrossOrigin = mode);
        string[] paths = ["ms", "ms/1.0.0", "ms/-/ms-1.0.0.tgz", "-/package/ms/dist-tags", "nosuch", "-/v1/search?text=ms", "-/npm/v1/keys", "_changes", "_all_docs", "-/all", ""];
        await using var servedOnly = await ServedMirror.StartAsync(upstream: upstream, configure: options => options.CrossOrigin = mode, isHot: false);
        foreach (var path in paths)
        {
            // Twice: the second is answered on the connection, or by the server from memory.
            for (var time = 0; time < 2; time++)
            {
                using var answer = await mirror.GetAsync(path, FromElsewhere);
                Assert.Equal((path, isShared), (path, IsShared(answer)));
                using var served = await servedOnly.GetAsync(path, FromElsewhere);
                Assert.Equal((path, isShared), (path, IsShared(served)));
            }
        }

        using var failed = await mirror.GetAsync("ms?refresh=1", FromElsewhere);
        Assert.Equal((HttpStatusCode.Forbidden, isShared), (failed.StatusCode, IsShared(failed)));
        Assert.Equal(isShared, (await mirror.RawGetAsync("/npm/_changes?feed=longpoll&since=0&timeout=1")).Contains("Access-Control-Allow-Origin: *", StringComparison.Ordinal));
        registry.Knobs.Fail("/other", 500);
        using var trouble = await mirror.GetAsync("other", FromElsewhere);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, isShared), (trouble.StatusCode, IsShared(trouble)));
    }

    [Theory]
    [InlineData("/npm/ms", "GET, HEAD")]
    [InlineData("/npm/_changes?since=0", "GET, HEAD, POST")]
    [InlineData("/npm/-/npm/v1/security/advisories/bulk", "POST")]
    [InlineData("/npm/_bulk_get", "POST")]
    public async Task A_preflight_is_answered(string path, string methods)
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var answer = await PreflightAsync(mirror, path);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Equal(methods, string.Join(", ", answer.Headers.GetValues("Access-Control-Allow-Methods")));
        Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Headers").Single());
        Assert.Equal(methods + ", OPTIONS", string.Join(", ", answer.Content.Headers.Allow));
    }

    [Claim("Pages of other sites read only what an anonymous upstream gave, on every path and connection, unless configured; preflights say the same",
        With = [nameof(A_preflight_is_answered), nameof(Only_answers_of_an_anonymous_upstream_unless_configured), nameof(Pages_for_operators_are_never_shared)],
        Red = "a preflight allows everything always: the first was red; `CrossOriginPolicy` does not ask whether the upstream is anonymous, or has no line (or always one) for answers on the connection, or `RegistryEndpoints` leaves it out of what it remembers: the third; operators' answers are shared: the last")]
    [Fact]
    public async Task A_preflight_allows_nothing_where_answers_are_not_shared()
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.CrossOrigin = CrossOriginMode.Never);
        using var answer = await PreflightAsync(mirror, "/npm/ms");
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.DoesNotContain(answer.Headers, header => header.Key.StartsWith("Access-Control", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("/metrics")]
    [InlineData("/health/ready")]
    public async Task Pages_for_operators_are_never_shared(string path)
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.CrossOrigin = CrossOriginMode.Always);
        using var answer = await mirror.GetAsync(path, FromElsewhere);
        Assert.False(IsShared(answer));
        using var preflight = await PreflightAsync(mirror, path);
        Assert.False(IsShared(preflight));
    }

    private static bool IsShared(HttpResponseMessage answer) => answer.Headers.Contains("Access-Control-Allow-Origin");

    private static async Task<HttpResponseMessage> PreflightAsync(ServedMirror mirror, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Options, path);
        return await mirror.SendAsync(request, ("Origin", "https://page.example.org"), ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "content-type"));
    }
}
