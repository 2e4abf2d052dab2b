using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary><c>offline=true</c>: held packages are served, no request is sent, and no state changes.</summary>
[Trait("Duration", "long")]
public sealed class OfflineTests : IAsyncLifetime
{
    private static readonly PackageName Waiting = PackageName.Parse("waiting");

    private readonly TestFolder _folder = new();
    private readonly HttpClient _client = new();
    private FakeRegistry _upstream = null!;
    private CliProcess _mirror = null!;
    private string _address = "";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("held").Version("1.0.0").Version("1.1.0"));
        _upstream.Publish(new FakePackage("other").Version("1.0.0"));
        await using (var online = CliProcess.Start(_folder.Path, ["serve", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--listen=http://127.0.0.1:0"]))
        {
            var address = (await online.WaitForOutputAsync("Serving ")).Split(' ')[1];
            await _client.GetStringAsync(address + "held", Cancellation);
            await _client.GetByteArrayAsync(address + "held/-/held-1.1.0.tgz", Cancellation);
            await online.SignalAsync("TERM");
            await online.WaitForExitAsync();
        }

        // Left in the queue by the process before.
        await using (var store = await OpenStoreAsync())
        {
            var now = TimeProvider.System.GetUtcNow();
            await store.Queue.EnqueueAsync([new QueueItem { Name = Waiting, Priority = QueuePriority.Change, DueAt = now, QueuedAt = now }], null, Cancellation);
        }

        _upstream.PublishVersion("held", "2.0.0");
        _upstream.Requests.Clear();
        // Old enough to be compared at once, if requests were sent.
        _mirror = CliProcess.Start(_folder.Path, ["serve", "--offline=true", "--ttl=0s", "--gc.every=1m", "--listen=http://127.0.0.1:0"]);
        _address = (await _mirror.WaitForOutputAsync("Serving ")).Split(' ')[1];
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        await _upstream.DisposeAsync();
        _client.Dispose();
        _folder.Dispose();
    }

    private async Task<SqliteStore> OpenStoreAsync()
    {
        var store = new SqliteStore(_folder.File("npm-mirror-data/npm-mirror.sqlite"), TimeProvider.System);
        await store.OpenAsync(Cancellation);
        return store;
    }

    [Claim("Offline no request is sent and no state changes; a package that is not held is a 503 that says so; commands that need the upstream refuse",
        With = [nameof(Commands_that_ask_the_upstream_are_refused)],
        Red = "the queue works offline too, or what is not held is asked for: the first was red; commands do not look at `offline`: the last")]
    [Fact]
    public async Task Offline_serves_held_packages_and_answers_503_for_the_rest()
    {
        var before = await StateAsync();
        Assert.Contains("1.1.0", await _client.GetStringAsync(_address + "held", Cancellation), StringComparison.Ordinal);
        await _client.GetByteArrayAsync(_address + "held/-/held-1.1.0.tgz", Cancellation);
        foreach (var (method, path) in new[]
        {
            ("GET", "other"),
            ("GET", "@no/such"),
            ("GET", "held/2.0.0"),
            ("GET", "held/-/held-1.0.0.tgz"),
            ("HEAD", "held/-/held-1.0.0.tgz"),
            ("GET", "held/-/held-2.0.0.tgz"),
            ("GET", "held?refresh=1"),
            ("GET", "-/npm/v1/keys"),
            ("GET", "-/npm/v1/attestations/held@1.0.0"),
            ("POST", "-/npm/v1/security/advisories/bulk"),
        })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), _address + path) { Content = method == "POST" ? new StringContent("{}", Encoding.UTF8, "application/json") : null };
            using var answer = await _client.SendAsync(request, Cancellation);
            Assert.True(answer.StatusCode == HttpStatusCode.ServiceUnavailable, $"{path}: {answer.StatusCode}");
            Assert.True(method == "HEAD" || (await answer.Content.ReadAsStringAsync(Cancellation)).Contains("offline", StringComparison.Ordinal));
        }

        Assert.Equal(0, _upstream.Requests.CountOf("*"));
        Assert.Equal(before, await StateAsync());
        Assert.Equal(HttpStatusCode.OK, (await _client.GetAsync(new Uri(new Uri(_address), "/health/ready"), Cancellation)).StatusCode);
        await using var store = await OpenStoreAsync();
        var queued = await store.Queue.FindQueuedAsync(Waiting, Cancellation);
        Assert.Equal((0, null), (queued!.Attempts, queued.LastError));
    }

    /// <summary>The state of the mirror as JSON, without its search index, which is no part of it and may be made meanwhile.</summary>
    private async Task<string> StateAsync()
    {
        var state = JsonNode.Parse((await CliProcess.RunAsync(_folder.Path, ["status", "--json"])).Output)!.AsObject();
        state.Remove("search");
        return state.ToJsonString();
    }

    [Claim("Verify without `--repair` and `--against-upstream` sends no requests, offline and online",
        Red = "`VerifyCommand` opens the mirror also when it only looks: red offline")]
    [Theory]
    [InlineData("verify", "--offline")]
    [InlineData("verify")]
    public async Task Reading_held_packages_sends_no_request(params string[] arguments)
    {
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, arguments);
        Assert.True(code == 0, errors);
        Assert.Contains("1 documents", output, StringComparison.Ordinal);
        Assert.Equal(0, _upstream.Requests.CountOf("*"));
    }

    [Theory]
    [InlineData("sync")]
    [InlineData("sync", "other")]
    [InlineData("reconcile")]
    [InlineData("verify", "--against-upstream")]
    [InlineData("verify", "--repair")]
    [InlineData("monitor")]
    [InlineData("mirror")]
    public async Task Commands_that_ask_the_upstream_are_refused(params string[] arguments)
    {
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, [.. arguments, "--offline"]);
        Assert.Equal(2, code);
        Assert.Contains("offline is set, and", errors, StringComparison.Ordinal);
        Assert.Equal(0, _upstream.Requests.CountOf("*"));
    }
}
