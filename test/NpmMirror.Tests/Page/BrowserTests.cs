using System.Text.RegularExpressions;
using Microsoft.Playwright;
using NpmMirror.Log;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Page;

/// <summary>The page in a real browser. With <c>NPM_MIRROR_SCREENSHOTS=docs/pictures</c> its pages are kept there as pictures.</summary>
[Trait("Duration", "long")]
public sealed class BrowserTests(Browser browser) : IClassFixture<Browser>, IAsyncLifetime
{
    private static readonly (string Path, string Name)[] Pages =
    [
        ("/", "state"), ("/packages", "packages"), ("/packages?q=zzz", "nothing"), ("/setup", "set-up"), ("/package/left-pad", "package"), ("/package/left-pad/v/1.0.0", "version"), ("/package/left-pad/compare?from=1.0.0&to=1.1.0", "compare"), ("/package/left-pad/v/1.0.0/files", "files"), ("/package/left-pad/v/1.0.0/files/package.json", "file"), ("/package/absent", "absent"), ("/package/hostile", "hostile"),
    ];

    private FakeRegistry _registry = null!;
    private ServedMirror _mirror = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        _registry.Publish(new FakePackage("left-pad") { Readme = "# left-pad\n\nPads a text on its *left*.\n\n```js\nleftPad('17', 5, '0')\n```\n\n| text | width |\n|---|---|\n| 17 | 5 |\n" }.Version("1.0.0").Version("1.1.0").Version("1.2.0"));
        _registry.Publish(new FakePackage("gone").Version("1.0.0"));
        _mirror = await ServedMirror.StartAsync(upstream: _registry.Url, hasPage: true);
        await _mirror.TextAsync("left-pad");
        await _mirror.TextAsync("left-pad/-/left-pad-1.0.0.tgz");
        await _mirror.TextAsync("left-pad/-/left-pad-1.1.0.tgz");
        await _mirror.TextAsync("gone");
        await _mirror.RemoveAsync("gone", RemovalKind.Gone);
        await _mirror.PutAsync("hostile", PackagePageTests.Hostile);
        // A try that failed and waits for the next.
        _registry.Knobs.Fail("/failing", 500);
        var now = TimeProvider.System.GetUtcNow();
        var failing = new QueueItem { Name = PackageName.Parse("failing"), Priority = QueuePriority.Change, DueAt = now, QueuedAt = now };
        await _mirror.Mirror.Queue.EnqueueAsync([failing], null, Cancelled);
        await Eventually.Async(async () => await _mirror.Store.Queue.FindQueuedAsync(failing.Name, Cancelled) is { Attempts: > 0 });
        await Eventually.Async(async () => (await _mirror.Store.Tarballs.ListTarballsAsync(null, Cancelled).CountAsync(Cancelled)) == 2);
        await _mirror.SettleAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        await _registry.DisposeAsync();
    }

    [Claim("Each page is usable at 320 pixels and at 1280, dark and light: axe finds no violation, nothing scrolls sideways, no request leaves the mirror")]
    [Theory]
    [InlineData(320, false)]
    [InlineData(320, true)]
    [InlineData(1280, false)]
    [InlineData(1280, true)]
    public async Task Each_page_can_be_used_at_each_width_and_colour(int width, bool isDark)
    {
        await using var window = await browser.OpenAsync(_mirror.Address, width, isDark);
        foreach (var (path, name) in Pages)
        {
            await window.GoAsync(path);
            Assert.Equal("", await window.AxeAsync());
            Assert.True(await window.Page.EvaluateAsync<bool>("() => document.documentElement.scrollWidth <= innerWidth"), $"{path} scrolls sideways at {width}.");
            await KeepAsync(window, $"{name}-{width}{(isDark ? "-dark" : "")}");
        }

        window.AssertQuiet();
    }

    [Claim("The page works with the keyboard alone")]
    [Fact]
    public async Task A_keyboard_is_enough()
    {
        await using var window = await browser.OpenAsync(_mirror.Address);
        var page = window.Page;
        await window.GoAsync("/");
        await page.Keyboard.PressAsync("Tab");
        Assert.Equal("Skip to the content", await FocusedAsync(page));
        Assert.True(await page.Locator(".skip").IsVisibleAsync());
        await page.Keyboard.PressAsync("/");
        Assert.Equal("search", await page.EvaluateAsync<string>("() => document.activeElement.id"));
        await page.Keyboard.TypeAsync("left");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page).ToHaveURLAsync(new Regex("/packages\\?q=left$"));
        await Assertions.Expect(page.Locator("#found a").First).ToHaveTextAsync("left-pad");
        await page.Locator("#found a").First.FocusAsync();
        Assert.NotEqual("none", await page.EvaluateAsync<string>("() => getComputedStyle(document.activeElement).outlineStyle"));
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page).ToHaveURLAsync(new Regex("/package/left-pad$"));

        await window.GoAsync("/setup");
        await page.Keyboard.PressAsync("1");
        await Assertions.Expect(page.Locator("#said")).ToHaveTextAsync("Copied: npm");
        await page.Keyboard.PressAsync("/");
        await page.Keyboard.PressAsync("ControlOrMeta+v");
        Assert.Equal($"npm config set registry {_mirror.Address}npm/", await page.Locator("#search").InputValueAsync());
        window.AssertQuiet();
    }

    [Fact]
    public async Task Packages_are_found_as_one_types()
    {
        await using var window = await browser.OpenAsync(_mirror.Address);
        await window.GoAsync("/packages");
        await Assertions.Expect(window.Page.Locator("#found a").First).ToHaveTextAsync("hostile");
        await window.Page.Locator("#search").PressSequentiallyAsync("left");
        await Assertions.Expect(window.Page.Locator("#found a").First).ToHaveTextAsync("left-pad");
        window.AssertQuiet();
    }

    [Fact]
    public async Task Events_come_live_and_filtered()
    {
        await using var window = await browser.OpenAsync(_mirror.Address);
        await window.GoAsync("/");
        await Assertions.Expect(window.Page.Locator("#live")).ToContainTextAsync("W");
        await window.Page.Locator("#event-filter select").SelectOptionAsync("VersionPublished");
        await window.Page.Locator("#event-filter input").FillAsync("left");
        var opened = window.Page.WaitForResponseAsync(answer => answer.Url.Contains("api/events?type=VersionPublished&package=left", StringComparison.Ordinal));
        await window.Page.Locator("#event-filter button").ClickAsync();
        await opened;
        _registry.PublishVersion("left-pad", "3.0.0");
        await _mirror.TextAsync("left-pad?refresh=1");
        await Assertions.Expect(window.Page.Locator("#events li")).ToHaveCountAsync(1);
        await Assertions.Expect(window.Page.Locator("#events li")).ToContainTextAsync("VersionPublished left-pad");
        window.AssertQuiet();
    }

    [Fact]
    public async Task All_can_be_read_without_a_script()
    {
        await using var window = await browser.OpenAsync(_mirror.Address, hasScript: false);
        foreach (var (path, words) in new[] { ("/", "Packages"), ("/setup", "npm config set registry"), ("/packages?q=left", "left-pad"), ("/package/left-pad", "Pads a text on its left."), ("/package/left-pad/v/1.0.0", "MIT") })
        {
            await window.GoAsync(path);
            await Assertions.Expect(window.Page.Locator("main")).ToContainTextAsync(words);
            Assert.Equal(0, await window.Page.Locator("button[data-copy]:visible").CountAsync());
        }

        window.AssertQuiet();
    }

    [Fact]
    public async Task A_hostile_package_executes_nothing()
    {
        await using var window = await browser.OpenAsync(_mirror.Address);
        foreach (var path in new[] { "/package/hostile", "/package/hostile/v/1.0.0", "/packages?q=%3Cscript%3Epwned=1%3C/script%3E", "/", "/package/%3Cscript%3Epwned=1%3C%2Fscript%3E" })
        {
            await window.GoAsync(path);
            foreach (var link in await window.Page.Locator("main a").AllAsync())
            {
                Assert.Matches("^(\\.\\.?/|https?://|/|$)", await link.GetAttributeAsync("href") ?? "");
                await link.HoverAsync();
            }

            Assert.True(await window.Page.EvaluateAsync<bool>("() => typeof window.pwned === 'undefined'"));
        }

        window.AssertQuiet();
    }

    private static Task<string> FocusedAsync(IPage page) => page.EvaluateAsync<string>("() => document.activeElement.textContent");

    private static async Task KeepAsync(BrowserWindow window, string name)
    {
        if (Environment.GetEnvironmentVariable("NPM_MIRROR_SCREENSHOTS") is { Length: > 0 } folder)
        {
            await window.Page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(TestTools.Root, folder, name + ".png") });
        }
    }
}
