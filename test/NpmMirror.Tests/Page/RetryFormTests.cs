using System.Net;
using NpmMirror.Testing;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Page;

/// <summary>The form that has a package fetched now.</summary>
public sealed class RetryFormTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("The retry button works for administrators, from the mirror's own page only",
        With = [nameof(A_page_of_another_site_retries_nothing), nameof(With_a_token_only_its_owner_retries), nameof(A_form_that_is_none_is_refused)],
        Red = "`RetryForm` does not compare the Origin: the cases of another site were red; it does not ask `AdminAccess`: those without a token")]
    [Fact]
    public async Task An_administrators_page_has_a_package_fetched_again()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        await mirror.TextAsync("ms");
        registry.PublishVersion("ms", "2.0.0");
        using var answer = await PostAsync(mirror, "package=ms", ("Origin", Origin(mirror)), ("Sec-Fetch-Site", "same-origin"));
        Assert.Equal(HttpStatusCode.SeeOther, answer.StatusCode);
        Assert.Equal("./", answer.Headers.Location!.OriginalString);
        await Eventually.Async(async () => (await mirror.TextAsync("ms")).Contains("2.0.0", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http://evil.example.org", null)]
    [InlineData("http://evil.example.org", "cross-site")]
    [InlineData("null", null)]
    [InlineData(null, null)]
    [InlineData(null, "none")]
    [InlineData("own", "cross-site")]
    [InlineData("own", "same-site")]
    public async Task A_page_of_another_site_retries_nothing(string? origin, string? site)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        List<(string, string)> headers = [];
        if (origin is not null)
        {
            headers.Add(("Origin", origin == "own" ? Origin(mirror) : origin));
        }

        if (site is not null)
        {
            headers.Add(("Sec-Fetch-Site", site));
        }

        using var answer = await PostAsync(mirror, "package=ms", [.. headers]);
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Null(await mirror.Store.Queue.FindQueuedAsync(PackageName.Parse("ms"), Cancelled));
        Assert.Empty(registry.Requests.All);
    }

    [Theory]
    [InlineData("package=ms", HttpStatusCode.Forbidden)]
    [InlineData("package=ms&token=", HttpStatusCode.Forbidden)]
    [InlineData("package=ms&token=wrong", HttpStatusCode.Forbidden)]
    [InlineData("package=ms&token=secret", HttpStatusCode.SeeOther)]
    public async Task With_a_token_only_its_owner_retries(string body, HttpStatusCode expected)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, configure: options => options.Admin.Token = "secret", hasPage: true);
        using var answer = await PostAsync(mirror, body, ("Origin", Origin(mirror)));
        Assert.Equal(expected, answer.StatusCode);
        if (expected == HttpStatusCode.Forbidden)
        {
            Assert.Contains("admin.token", await answer.Content.ReadAsStringAsync(Cancelled));
            Assert.Empty(registry.Requests.All);
        }
    }

    [Fact]
    public async Task Without_a_token_nobody_behind_a_proxy_retries()
    {
        await using var mirror = await ServedMirror.StartAsync(hasPage: true);
        using var answer = await PostAsync(mirror, "package=ms", ("Origin", Origin(mirror)), ("X-Forwarded-For", "127.0.0.1"));
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
    }

    [Theory]
    [InlineData("")]
    [InlineData("package=")]
    [InlineData("package=../x")]
    [InlineData("other=ms")]
    [InlineData("package=%ff")]
    public async Task A_form_that_is_none_is_refused(string body)
    {
        await using var mirror = await ServedMirror.StartAsync(hasPage: true);
        using var answer = await PostAsync(mirror, body, ("Origin", Origin(mirror)));
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        using var large = await PostAsync(mirror, "package=ms&x=" + new string('x', 100_000), ("Origin", Origin(mirror)));
        Assert.Equal(HttpStatusCode.BadRequest, large.StatusCode);
        using var got = await mirror.GetAsync("/retry");
        Assert.Equal(HttpStatusCode.MethodNotAllowed, got.StatusCode);
    }

    private static string Origin(ServedMirror mirror) => mirror.Address.GetLeftPart(UriPartial.Authority);

    private static async Task<HttpResponseMessage> PostAsync(ServedMirror mirror, string body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/retry", UriKind.Relative)) { Content = new StringContent(body, System.Text.Encoding.ASCII, "application/x-www-form-urlencoded") };
        return await mirror.SendAsync(request, headers);
    }
}
