using System.Net;
using System.Text.RegularExpressions;
using NpmMirror.Testing;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Page;

/// <summary>The page's addresses and headers.</summary>
public sealed partial class PageTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("The page is served with a strict policy: nothing from elsewhere, no inline script or style, in no frame; each address on it is relative",
        With = [nameof(Each_file_of_the_page_may_be_kept_for_ever), nameof(Nothing_on_a_page_comes_from_elsewhere)],
        Red = "`PageWriter` leaves the policy out")]
    [Theory]
    [InlineData("/")]
    [InlineData("/setup")]
    [InlineData("/package/-/-/-/-")]
    public async Task A_page_has_headers_that_bind_the_browser(string path)
    {
        await using var mirror = await ServedMirror.StartAsync(hasPage: true);
        using var page = await mirror.GetAsync(path, ("Accept", "text/html"));
        var policy = string.Join(' ', page.Headers.GetValues("Content-Security-Policy"));
        Assert.StartsWith("default-src 'none';", policy);
        Assert.Contains("script-src 'self';", policy);
        Assert.Contains("style-src 'self';", policy);
        Assert.Contains("frame-ancestors 'none'", policy);
        Assert.DoesNotContain("unsafe", policy);
        Assert.DoesNotContain("http", policy);
        Assert.Equal("nosniff", Assert.Single(page.Headers.GetValues("X-Content-Type-Options")));
        Assert.Equal("same-origin", Assert.Single(page.Headers.GetValues("Referrer-Policy")));
        Assert.False(page.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task Nothing_on_a_page_comes_from_elsewhere()
    {
        await using var mirror = await ServedMirror.StartAsync(hasPage: true);
        foreach (var path in new[] { "/", "/setup" })
        {
            var text = await HtmlAsync(mirror, path);
            Assert.NotEmpty(Sources().Matches(text));
            Assert.All(Sources().Matches(text), match => Assert.StartsWith(match.Groups["tag"].Value is "link" && match.Value.Contains("icon", StringComparison.Ordinal) ? "data:," : "./", match.Groups["address"].Value));
            Assert.DoesNotContain(" style=", text);
            Assert.DoesNotContain(" onclick", text);
        }
    }

    [Fact]
    public async Task Each_file_of_the_page_may_be_kept_for_ever()
    {
        await using var mirror = await ServedMirror.StartAsync(hasPage: true);
        var files = Files().Matches(await HtmlAsync(mirror, "/")).Select(match => match.Value).Distinct().ToList();
        Assert.Equal(2, files.Count);
        foreach (var file in files)
        {
            using var answer = await mirror.GetAsync("/" + file);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Contains("immutable", answer.Headers.CacheControl!.ToString());
            Assert.Equal("nosniff", Assert.Single(answer.Headers.GetValues("X-Content-Type-Options")));
            using var again = await mirror.GetAsync("/" + file, ("If-None-Match", answer.Headers.ETag!.ToString()));
            Assert.Equal(HttpStatusCode.NotModified, again.StatusCode);
            using var older = await mirror.GetAsync("/" + Hash().Replace(file, ".0123456789abcdef."));
            Assert.Equal(HttpStatusCode.NotFound, older.StatusCode);
        }
    }

    [Claim("Programs that ask for `/` get what they got before there was a page; `ui=false` takes the page away",
        With = [nameof(Without_ui_there_is_no_page)])]
    [Fact]
    public async Task A_program_at_the_root_gets_the_registrys_address()
    {
        await using var mirror = await ServedMirror.StartAsync(hasPage: true);
        Assert.Equal($"{{\"registry\":\"{mirror.Address}npm/\"}}", await mirror.TextAsync("/"));
        // A client whose registry is set to the root asks for packages of these names.
        foreach (var name in new[] { "/setup", "/packages", "/package/x" })
        {
            using var answer = await mirror.GetAsync(name, ("Accept", "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"));
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            Assert.Contains("the registry is at", await answer.Content.ReadAsStringAsync(Cancelled));
        }
    }

    [Fact]
    public async Task Without_ui_there_is_no_page()
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.Ui = false, hasPage: true);
        Assert.Contains("A read-only mirror of an npm registry", await HtmlAsync(mirror, "/"));
        foreach (var path in new[] { "/setup", "/packages", "/package/x", "/api/mirrors", "/api/sse", "/api/events" })
        {
            using var answer = await mirror.GetAsync(path, ("Accept", "text/html"));
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }
    }

    [Claim("Under a root mount the page is at `/-/`, and every address of the registry is what it was")]
    [Fact]
    public async Task With_a_root_mount_the_page_is_under_the_dash()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("-").Version("1.0.0"));
        registry.Publish(new FakePackage("setup").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true, mounts: ["/"]);
        Assert.Contains("<h1>State</h1>", await HtmlAsync(mirror, "/-/"));
        Assert.Contains("href=\"./assets/page.", await HtmlAsync(mirror, "/-/"));
        Assert.Contains($"npm config set registry {mirror.Address}", await HtmlAsync(mirror, "/-/setup"));
        Assert.Contains("\"name\":\"-\"", await mirror.TextAsync("/-/"));
        Assert.Contains("\"name\":\"-\"", await mirror.TextAsync("/-"));
        Assert.Contains("\"1.0.0\"", await mirror.TextAsync("/-/package/setup/dist-tags"));
        Assert.Contains("\"name\":\"setup\"", await mirror.TextAsync("/setup"));
        using var info = await mirror.GetAsync("/", ("Accept", "text/html"));
        Assert.Equal("application/json", info.Content.Headers.ContentType!.MediaType);
        Assert.StartsWith("[", await mirror.TextAsync("/-/api/mirrors"));
    }

    [Theory]
    [InlineData("/", 0, "./")]
    [InlineData("/setup", 1, "./")]
    [InlineData("/setup/", 1, "../")]
    [InlineData("/package/@s/n/v/1.0.0", 5, "../../../../")]
    [InlineData("/-/package/x?q=1", 2, "../")]
    [InlineData("/branch/setup", 1, "./")]
    [InlineData("/branch", 0, null)]
    [InlineData("/branch/", 0, "./")]
    public void The_way_up_is_counted_by_slashes(string target, int depth, string? up) => Assert.Equal(up, NpmMirror.AspNetCore.Pages.PageEndpoint.UpFrom(target, depth));

    [Claim("A page is shown by the mirror's own names only, behind a proxy with the address that clients see",
        Red = "`PageEndpoint` does not ask `PublicAddresses`")]
    [Fact]
    public async Task A_foreign_name_gets_no_page()
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.TrustedProxies.Add("127.0.0.1"), hasPage: true);
        foreach (var path in new[] { "/", "/setup", "/api/mirrors", "/api/sse", "/api/events" })
        {
            using var foreign = await mirror.GetAsync(path, ("Accept", "text/html"), ("Host", "evil.example.org"));
            Assert.Equal(HttpStatusCode.MisdirectedRequest, foreign.StatusCode);
        }

        using var proxied = await mirror.GetAsync("/setup", ("Accept", "text/html"), ("X-Forwarded-Host", "localhost"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Prefix", "/mirrors/one"));
        Assert.Contains("npm config set registry https://localhost/mirrors/one/npm/", await proxied.Content.ReadAsStringAsync(Cancelled));
    }

    [Fact]
    public async Task The_state_page_tells_what_is_held_and_whether_all_is_well()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        using var asked = await mirror.GetAsync("left-pad", ("User-Agent", "npm/11.19.1 node/v24.0.0 linux x64"));
        await mirror.TextAsync("left-pad/-/left-pad-1.0.0.tgz");
        using var absent = await mirror.GetAsync("nowhere");
        var text = await HtmlAsync(mirror, "/");
        Assert.Contains("<strong>Well:</strong>", text);
        Assert.Contains("<dt>Packages</dt><dd>1</dd>", text);
        Assert.Contains("PackageAdded <a href=\"./package/left-pad\">", text);
        Assert.Contains("<td>npm/11.19.1</td>", text);
        Assert.Contains("<li>nowhere 1</li>", text);
    }

    private static async Task<string> HtmlAsync(ServedMirror mirror, string path)
    {
        using var answer = await mirror.GetAsync(path, ("Accept", "text/html"));
        return await answer.Content.ReadAsStringAsync(Cancelled);
    }

    [GeneratedRegex("<(?<tag>link|script|img|iframe|audio|video|object|embed)[^>]* (?:src|href)=\"(?<address>[^\"]*)\"")]
    private static partial Regex Sources();

    [GeneratedRegex(@"assets/page\.[0-9a-f]{16}\.(css|js)")]
    private static partial Regex Files();

    [GeneratedRegex(@"\.[0-9a-f]{16}\.")]
    private static partial Regex Hash();
}
