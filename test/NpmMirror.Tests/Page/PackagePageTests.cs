using System.Net;
using NpmMirror.Page.Packages;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Page;

/// <summary>The pages of packages, versions and of all that is held.</summary>
public sealed class PackagePageTests
{
    /// <summary>A package that tries what a page could be made to do.</summary>
    internal const string Hostile = """
        {"name":"hostile","description":"\u001b[31mred\u001b[0m <script>window.pwned=1</script>","dist-tags":{"latest":"1.0.0","<img src=x onerror=pwned=1>":"1.0.0"},
         "maintainers":[{"name":"<b onmouseover=pwned=1>eve</b>"}],"homepage":"javascript:window.pwned=1","repository":{"url":"data:text/html,<script>pwned=1</script>"},
         "license":"\"><script>pwned=1</script>","keywords":["</ul><script>pwned=1</script>"],
         "readme":"<script>window.pwned=1</script>\n\n<svg onload=\"window.pwned=1\"><a xlink:href=\"javascript:pwned=1\">x</a></svg>\n\n[click](javascript:window.pwned=1) [data](data:text/html,x) [own](/setup) [web](https://web.example.org/a?b=1)\n\n![picture](https://elsewhere.example.org/p.png)\n\n<img src=https://elsewhere.example.org/q.png onerror=\"window.pwned=1\">\n\n<iframe src=https://elsewhere.example.org></iframe>\n\ntext <b onclick=\"pwned=1\">bold</b>\n\n# Title\n\n```html\n<script>shown</script>\n```\n",
         "versions":{"1.0.0":{"name":"hostile","version":"1.0.0","scripts":{"postinstall":"curl </pre><script>pwned=1</script>"},"dependencies":{"<script>pwned=1</script>":"<i>1</i>","left-pad":"^1.0.0"},"deprecated":"<script>pwned=1</script>","dist":{"tarball":"http://x/hostile-1.0.0.tgz","integrity":"\"><script>pwned=1</script>"}},
                     "2.0.0-<script>":{"name":"hostile","version":"2.0.0-<script>"}},
         "time":{"1.0.0":"2020-01-01T00:00:00.000Z"}}
        """;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_package_shows_its_versions_tags_dependencies_and_history()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("left-pad").Version("1.0.0").Version("1.2.0").Version("2.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        await mirror.TextAsync("left-pad");
        await mirror.TextAsync("left-pad/-/left-pad-1.2.0.tgz");
        await Eventually.Async(async () => await mirror.Store.Tarballs.FindTarballAsync(PackageName.Parse("left-pad"), "left-pad-1.2.0.tgz", Cancelled) is { State: TarballState.Held });
        await mirror.PutAsync("@team/app", """
            {"name":"@team/app","description":"An app","license":"MIT","readme":"# Hello\n\n*world* https://web.example.org/","maintainers":[{"name":"alice"}],"dist-tags":{"latest":"1.0.0","next":"1.0.0"},
             "homepage":"https://home.example.org/","repository":{"url":"git+https://code.example.org/team/app.git"},
             "versions":{"1.0.0":{"name":"@team/app","version":"1.0.0","dependencies":{"left-pad":"^1.0.0","absent":"1.x","alias":"npm:left-pad@2"},"dist":{"unpackedSize":12345,"attestations":{"url":"http://x/a","provenance":{"predicateType":"x"}}},"hasInstallScript":true}},
             "time":{"1.0.0":"2024-05-06T07:08:09.000Z"}}
            """);
        await mirror.SettleAsync();
        var text = await HtmlAsync(mirror, "/package/@team/app");
        Assert.Contains("<h3>Hello</h3>", text);
        Assert.Contains("<em>world</em>", text);
        Assert.Contains("<a href=\"https://web.example.org/\" rel=\"nofollow noopener noreferrer\">", text);
        Assert.Contains("latest: <a href=\"../../package/%40team/app/v/1.0.0\">1.0.0</a>", text);
        Assert.Contains("<td>2024-05-06</td>", text);
        Assert.Contains("12.3 KB", text);
        Assert.Contains("install script</span>", text);
        Assert.Contains("provenance</span>", text);
        Assert.Contains("^1.0.0 → <a href=\"../../package/left-pad/v/1.2.0\">1.2.0</a>", text);
        Assert.Contains("npm:left-pad@2 → <a href=\"../../package/left-pad/v/2.0.0\">2.0.0</a>", text);
        Assert.Contains("absent 1.x <span class=\"faint\">(not held here)</span>", text);
        Assert.Contains("https://code.example.org/team/app.git", text);
        Assert.Equal(text.Replace("../../", "../", StringComparison.Ordinal), await HtmlAsync(mirror, "/package/@team%2fapp"));

        var pad = await HtmlAsync(mirror, "/package/left-pad");
        Assert.Contains(">1.2.0</a></td>", pad);
        Assert.Single(pad.Split("<span class=\"mark good\">stored</span>")[1..]);
        Assert.Contains("first seen, with 3 versions", pad);

        var version = await HtmlAsync(mirror, "/package/@team/app/v/1.0.0");
        Assert.Contains($"<a href=\"{mirror.Address}npm/@team/app/-/app-1.0.0.tgz\">", version);
        Assert.Contains("&quot;unpackedSize&quot;: 12345", version);
        Assert.Equal(version, await HtmlAsync(mirror, "/package/@team/app/v/latest"));
    }

    [Fact]
    public async Task A_version_that_was_removed_and_is_stored_is_among_the_versions()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("ms").Version("1.0.0").Version("2.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        await mirror.TextAsync("ms/-/ms-1.0.0.tgz");
        await Eventually.Async(async () => await mirror.Store.Tarballs.FindTarballAsync(PackageName.Parse("ms"), "ms-1.0.0.tgz", Cancelled) is { State: TarballState.Held });
        await mirror.PutAsync("ms", """{"name":"ms","dist-tags":{"latest":"2.0.0"},"versions":{"2.0.0":{"name":"ms","version":"2.0.0"}}}""");
        await mirror.SettleAsync();
        Assert.Matches("1\\.0\\.0</a></td>\\s*<td>–</td>\\s*<td class=\"number\">–</td>\\s*<td><span class=\"mark bad\">removed</span><span class=\"mark good\">stored</span></td>", await HtmlAsync(mirror, "/package/ms"));
    }

    [Claim("Nothing of a package acts on its page: names, descriptions, readmes, links and scripts of strangers are text",
        With = [nameof(A_readme_keeps_its_text_and_loses_what_acts), nameof(A_readme_that_costs_too_much_is_shown_as_text), "BrowserTests.A_hostile_package_executes_nothing"],
        Red = "`WebAddress` takes addresses of any kind, and the sanitizer and the taming of HTML are both left out")]
    [Fact]
    public async Task A_hostile_package_is_shown_as_text()
    {
        await using var mirror = await ServedMirror.StartAsync(hasPage: true);
        await mirror.PutAsync("hostile", Hostile);
        await mirror.SettleAsync();
        foreach (var path in new[] { "/package/hostile", "/package/hostile/v/1.0.0", "/packages?q=hostile", "/packages?q=<script>pwned=1</script>", "/package/hostile/v/%3Cscript%3E" })
        {
            var text = await HtmlAsync(mirror, path);
            Assert.DoesNotContain("<script>", text);
            Assert.DoesNotContain("<img", text);
            Assert.DoesNotContain("<svg", text);
            Assert.DoesNotContain("<iframe", text);
            Assert.DoesNotContain("<b ", text);
            Assert.DoesNotContain("=\"javascript:", text);
            Assert.DoesNotContain("=\"data:text", text);
            Assert.DoesNotContain("\u001b", text);
        }

        Assert.Contains("<a href=\"https://web.example.org/a?b=1\" rel=\"nofollow noopener noreferrer\">web</a>", await HtmlAsync(mirror, "/package/hostile"));
    }

    [Theory]
    [InlineData("# One\n\n#### Four", "<h3>One</h3>\n<h6>Four</h6>\n")]
    [InlineData("<h1 align=\"center\">Name</h1>", "<p>Name</p>\n")]
    [InlineData("a <b onclick=x>bold</b> b", "<p>a bold b</p>\n")]
    [InlineData("![alt](https://x.example.org/p.png)", "<p>[picture: alt]</p>\n")]
    [InlineData("[![badge](https://x.example.org/b.svg)](https://y.example.org/)", "<p><a href=\"https://y.example.org/\" rel=\"nofollow noopener noreferrer\">[picture: badge]</a></p>\n")]
    [InlineData("[a](javascript:x) [b](//evil.example.org/) [c](./docs)", "<p><a rel=\"nofollow noopener noreferrer\">a</a> <a rel=\"nofollow noopener noreferrer\">b</a> <a rel=\"nofollow noopener noreferrer\">c</a></p>\n")]
    [InlineData("| a | b |\n|---|---|\n| 1 | 2 |", null)]
    public void A_readme_keeps_its_text_and_loses_what_acts(string markdown, string? html)
    {
        var shown = ReadmeText.ToHtml(markdown);
        Assert.NotNull(shown);
        Assert.Equal(html ?? shown, shown);
        Assert.True(html is not null || shown.Contains("<td>1</td>", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("[", 100_000)]
    [InlineData("> ", 50_000)]
    [InlineData("* ", 50_000)]
    [InlineData("<b>", 40_000)]
    [InlineData("[a](b\n\n", 100_000)]
    [InlineData("> > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > > x\n", 2_000)]
    [InlineData("![", 4_000)]
    [InlineData("**a*", 2_400)]
    [InlineData("|a|b\n", 1_900)]
    [InlineData("`a", 4_900)]
    public void A_readme_that_costs_too_much_is_shown_as_text(string piece, int times)
    {
        var readme = string.Concat(Enumerable.Repeat(piece, times));
        var html = ReadmeText.ToHtml(readme);
        Assert.True(html is null || html.Length <= 10 * ReadmeText.CharsMax);
        Assert.True(ReadmeText.Cut(readme).Length <= ReadmeText.CharsMax + 10);
    }

    [Theory]
    [InlineData("^1.0.0", "1.2.0")]
    [InlineData("", "1.2.0")]
    [InlineData("*", "1.2.0")]
    [InlineData("latest", "1.2.0")]
    [InlineData("next", "3.0.0-rc.1")]
    [InlineData(">=1", "1.2.0")]
    [InlineData("2.x || 1.1.x", "2.0.0")]
    [InlineData("~1.1", "1.1.0")]
    [InlineData("git+ssh://x", null)]
    [InlineData("9", null)]
    public void A_range_stands_for_the_version_that_npm_takes(string range, string? version)
    {
        var json = """{"name":"x","dist-tags":{"latest":"1.2.0","next":"3.0.0-rc.1"},"versions":{"1.0.0":{},"1.1.0":{},"1.2.0":{},"2.0.0":{},"3.0.0-rc.1":{},"odd":{}}}"""u8.ToArray();
        Assert.Equal(version, DependencyList.Find(NpmMirror.Packuments.PackumentReader.Read(json, PackageName.Parse("x")).Index, range));
    }

    [Fact]
    public async Task A_package_that_is_not_held_is_not_fetched_by_a_look()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url, hasPage: true);
        using var page = await mirror.GetAsync("/package/ms", ("Accept", "text/html"));
        Assert.Equal(HttpStatusCode.NotFound, page.StatusCode);
        Assert.Contains("is not held here", await page.Content.ReadAsStringAsync(Cancelled));
        Assert.Empty(registry.Requests.All);
    }

    [Fact]
    public async Task All_packages_can_be_walked_through_by_name()
    {
        await using var mirror = await ServedMirror.StartAsync(hasPage: true);
        for (var i = 0; i < 60; i++)
        {
            await mirror.PutAsync($"p{i:00}", $$$"""{"name":"p{{{i:00}}}","versions":{}}""");
        }

        await mirror.SettleAsync();
        var first = await HtmlAsync(mirror, "/packages");
        Assert.Contains(">p00</a>", first);
        Assert.Contains(">p49</a>", first);
        Assert.DoesNotContain(">p50</a>", first);
        var second = await HtmlAsync(mirror, "/packages?q=&after=p49");
        Assert.Contains("href=\"./packages?q=&amp;after=p49\"", first);
        Assert.Contains(">p50</a>", second);
        Assert.DoesNotContain("rel=\"next\"", second);
        Assert.Contains(">p07</a>", await HtmlAsync(mirror, "/packages?q=p0"));
    }

    private static async Task<string> HtmlAsync(ServedMirror mirror, string path)
    {
        using var answer = await mirror.GetAsync(path, ("Accept", "text/html"));
        return await answer.Content.ReadAsStringAsync(Cancelled);
    }
}
