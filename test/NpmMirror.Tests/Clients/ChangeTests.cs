using System.Net;

namespace NpmMirror.Tests.Clients;

/// <summary>Changes upstream reach npm's users by the feed; a version that was installed once can always be installed again.</summary>
[Collection("Clients")]
public sealed class ChangeTests : IAsyncLifetime
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false });
    private ClientBench _bench = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _bench = await ClientBench.StartAsync("npm", Cancelled);

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _bench.DisposeAsync();
    }

    [Claim("The feed's changes reach npm: a new version, a deprecation",
        With = [nameof(A_deprecation_is_told_soon_after_it_was_made)],
        Red = "`QueueingHandler` takes every row for known")]
    [Fact]
    public async Task A_new_version_is_installed_soon_after_it_was_published()
    {
        await _bench.SucceedAsync(Cancelled, "install", "retired");
        _bench.Upstream.PublishVersion("retired", "1.1.0");

        await WaitForAsync("retired/1.1.0", HttpStatusCode.OK);
        await _bench.SucceedAsync(Cancelled, "install", "retired@latest", "--prefer-online");
        Assert.Equal("1.1.0", _bench.Sandbox.Installed("retired"));
    }

    [Claim("A lockfile installs after an unpublish (compatibility D3, never-again 9)",
        With = [nameof(A_lockfile_installs_after_its_version_was_unpublished)],
        Red = "stored tarballs are looked up in the packument first")]
    [Fact]
    public async Task A_lockfile_installs_after_its_package_was_unpublished()
    {
        await _bench.SucceedAsync(Cancelled, "install", "retired");
        _bench.Upstream.Unpublish("retired");
        await WaitForAsync("retired", HttpStatusCode.NotFound);

        _bench.Sandbox.Cool(keepsLock: true, _bench.Client.LockFile);
        await _bench.SucceedAsync(Cancelled, "ci");
        Assert.Equal("1.0.0", _bench.Sandbox.Installed("retired"));
    }

    [Fact]
    public async Task A_lockfile_installs_after_its_version_was_unpublished()
    {
        await _bench.SucceedAsync(Cancelled, "install", "plain@1.1.0");
        _bench.Upstream.UnpublishVersion("plain", "1.1.0");
        await WaitForAsync("plain/1.1.0", HttpStatusCode.NotFound);

        _bench.Sandbox.Cool(keepsLock: true, _bench.Client.LockFile);
        await _bench.SucceedAsync(Cancelled, "ci");
        Assert.Equal("1.1.0", _bench.Sandbox.Installed("plain"));
    }

    [Fact]
    public async Task A_deprecation_is_told_soon_after_it_was_made()
    {
        await _bench.SucceedAsync(Cancelled, "install", "plain@1.0.0");
        var change = _bench.Upstream.Deprecate("plain", "1.0.0", "too plain");
        await Polling.UntilAsync(async () => (await _http.GetStringAsync(new Uri(_bench.Relay.Registry, "plain"), Cancelled)).Contains(change.Revision, StringComparison.Ordinal), Cancelled);

        _bench.Sandbox.Cool(keepsLock: false, _bench.Client.LockFile);
        Assert.Contains("too plain", await _bench.SucceedAsync(Cancelled, "install", "plain@1.0.0"), StringComparison.Ordinal);
    }

    private Task WaitForAsync(string path, HttpStatusCode status) => Polling.UntilAsync(
        async () =>
        {
            using var response = await _http.GetAsync(new Uri(_bench.Relay.Registry, path), Cancelled);
            return response.StatusCode == status;
        },
        Cancelled);
}
