using Microsoft.Playwright;

namespace NpmMirror.Tests.Page;

/// <summary>One Chromium for all tests of a class.</summary>
public sealed class Browser : IAsyncLifetime
{
    // Nothing of the browser itself asks anyone for anything.
    private static readonly string[] Flags =
    [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server",
    ];

    private IPlaywright? _driver;
    private IBrowser? _browser;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(TestTools.Has("chromium"), TestTools.Missing("chromium"));
        Assert.SkipUnless(TestTools.Has("axe-core"), TestTools.Missing("axe-core"));
        _driver = await Playwright.CreateAsync();
        _browser = await _driver.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = TestTools.Command("chromium")[0], Args = Flags, Headless = true, Timeout = 120_000 });
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _driver?.Dispose();
    }

    /// <summary>A window of its own, without anything of the others.</summary>
    internal async Task<BrowserWindow> OpenAsync(Uri address, int width = 1280, bool isDark = false, bool hasScript = true)
    {
        var context = await _browser!.NewContextAsync(new BrowserNewContextOptions
        {
            BaseURL = address.AbsoluteUri,
            ViewportSize = new ViewportSize { Width = width, Height = 800 },
            ColorScheme = isDark ? ColorScheme.Dark : ColorScheme.Light,
            JavaScriptEnabled = hasScript,
        });
        context.SetDefaultTimeout(60_000);
        return new BrowserWindow(context, await context.NewPageAsync(), address);
    }
}

/// <summary>A window, what it asked for, and what it complained about.</summary>
internal sealed class BrowserWindow : IAsyncDisposable
{
    private readonly IBrowserContext _context;
    private readonly Uri _origin;
    private readonly List<string> _foreign = [];
    private readonly List<string> _complaints = [];

    internal BrowserWindow(IBrowserContext context, IPage page, Uri origin)
    {
        (_context, Page, _origin) = (context, page, origin);
        context.Request += (_, request) =>
        {
            var address = new Uri(request.Url);
            if (address.Scheme != "data" && address.GetLeftPart(UriPartial.Authority) != _origin.GetLeftPart(UriPartial.Authority))
            {
                lock (_foreign)
                {
                    _foreign.Add(request.Url);
                }
            }
        };
        page.Console += (_, message) => Complain(message.Type == "error" && !message.Text.Contains("404", StringComparison.Ordinal), message.Text);
        page.PageError += (_, error) => Complain(true, error);
        page.Dialog += async (_, dialog) =>
        {
            Complain(true, $"a dialog: {dialog.Message}");
            await dialog.DismissAsync();
        };
    }

    internal IPage Page { get; }

    /// <summary>Opens a page; a stream that it reads does not end, so that nothing waits for silence.</summary>
    internal async Task GoAsync(string path) => await Page.GotoAsync(path, new PageGotoOptions { WaitUntil = WaitUntilState.Load });

    /// <summary>Asserts that it asked no other host, and that the browser found nothing wrong.</summary>
    internal void AssertQuiet()
    {
        lock (_foreign)
        {
            Assert.Empty(_foreign);
            Assert.Empty(_complaints);
        }
    }

    /// <summary>The rules of accessibility that the page breaks.</summary>
    internal async Task<string> AxeAsync()
    {
        await Page.EvaluateAsync(await File.ReadAllTextAsync(TestTools.Command("axe-core")[0], TestContext.Current.CancellationToken) + "; null");
        return await Page.EvaluateAsync<string>("async () => { const found = await axe.run(); return found.violations.map(one => one.id + ': ' + one.nodes.map(node => node.html + ' ' + node.failureSummary).join(' | ')).join('\\n'); }");
    }

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();

    private void Complain(bool isComplaint, string words)
    {
        if (isComplaint)
        {
            lock (_foreign)
            {
                _complaints.Add(words);
            }
        }
    }
}
