using System.Text.Json;
using NpmMirror.Testing;
using NpmMirror.Tests.Cli;
using StackExchange.Redis;

namespace NpmMirror.Tests.Redis;

/// <summary>The program with its store in Redis: a new mirror, and one that goes on with the database of the tool of 2012.</summary>
[Trait("Duration", "long")]
public sealed class RedisEndToEndTests(RedisServer server) : IClassFixture<RedisServer>, IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private readonly string _location = server.NewLocation();
    private FakeRegistry _upstream = null!;
    private ConnectionMultiplexer _other = null!;

    private IDatabase Other => _other.GetDatabase();

    private string Prefix => _location[(_location.IndexOf('=', StringComparison.Ordinal) + 1)..];

    public async ValueTask InitializeAsync()
    {
        _other = await ConnectionMultiplexer.ConnectAsync($"127.0.0.1:{server.Port}");
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("ms").Version("2.1.2"));
        _upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
    }

    public async ValueTask DisposeAsync()
    {
        await _other.DisposeAsync();
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A mirror is kept in Redis by the program: sync, verify, status and serve with --store.engine=redis://…")]
    [Fact]
    public async Task Syncs_verifies_and_serves()
    {
        var (code, output, errors) = await RunAsync("sync", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all");
        Assert.True(code == 0, errors);
        Assert.StartsWith("2 changed", output, StringComparison.Ordinal);
        Assert.Equal(_upstream.Packument("ms"), (byte[]?)await Other.StringGetAsync($"{Prefix}module:ms"));

        (code, output, errors) = await RunAsync("verify", $"--upstream={_upstream.Url}");
        Assert.True(code == 0, output + errors);
        (_, output, _) = await RunAsync("status", "--json");
        using var status = JsonDocument.Parse(output);
        Assert.Equal(2, status.RootElement.GetProperty("counts").GetProperty("packages").GetInt64());

        await using var serve = Start("serve", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--listen=http://127.0.0.1:0");
        using var client = new HttpClient { BaseAddress = new Uri((await serve.WaitForOutputAsync("Serving ")).Split(' ')[1]) };
        Assert.Contains("\"2.1.2\"", await client.GetStringAsync("ms", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        _upstream.PublishVersion("ms", "2.1.3");
        await Eventually.Async(async () => (await client.GetStringAsync("ms", TestContext.Current.CancellationToken)).Contains("\"2.1.3\"", StringComparison.Ordinal));
        await Eventually.Async(async () => ((string?)await Other.StringGetAsync($"{Prefix}module:ms"))!.Contains("\"2.1.3\"", StringComparison.Ordinal));
        await serve.SignalAsync("TERM");
        Assert.Equal(0, await serve.WaitForExitAsync(30));
    }

    [Claim("Compatibility C3: a Redis database of the old tool is read, followed from its cursor, and stays in its layout")]
    [Fact]
    public async Task Goes_on_with_the_database_of_the_old_tool()
    {
        // As that tool wrote it: re-written JSON, a tombstone, the cursor of the last change it saw.
        await Other.StringSetAsync($"{Prefix}module:ms", """{"_id":"ms","_rev":"1-x","name":"ms","dist-tags":{"latest":"2.1.2"},"versions":{"2.1.2":{"name":"ms","version":"2.1.2"}},"time":{}}""");
        await Other.StringSetAsync($"{Prefix}module:offline-only", """{"_id":"offline-only","name":"offline-only","dist-tags":{"latest":"0.1.0"},"versions":{"0.1.0":{"name":"offline-only","version":"0.1.0"}}}""");
        await Other.StringSetAsync($"{Prefix}module/deleted:gone", """{"_id":"gone","name":"gone","versions":{"1.0.0":{"name":"gone","version":"1.0.0"}}}""");
        await Other.StringSetAsync($"{Prefix}module:broken", "no JSON");
        await Other.StringSetAsync($"{Prefix}seq:last_seq", "1");

        await using var serve = Start("serve", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all", "--listen=http://127.0.0.1:0");
        var line = await serve.WaitForOutputAsync("Serving ");
        Assert.Contains("Took over 3 packuments of an earlier tool; 1 could not be read", serve.Errors, StringComparison.Ordinal);
        using var client = new HttpClient { BaseAddress = new Uri(line.Split(' ')[1]) };
        Assert.Contains("\"0.1.0\"", await client.GetStringAsync("offline-only", TestContext.Current.CancellationToken), StringComparison.Ordinal);

        // What has changed since its cursor comes by the feed.
        await Eventually.Async(async () => (string?)await Other.StringGetAsync($"{Prefix}seq:last_seq") == "2");
        Assert.True(await Other.KeyExistsAsync($"{Prefix}module:left-pad"));
        Assert.True(await Other.KeyExistsAsync($"{Prefix}module/deleted:gone"));
        Assert.False(await Other.KeyExistsAsync($"{Prefix}module:gone"));
        await serve.SignalAsync("TERM");
        Assert.Equal(0, await serve.WaitForExitAsync(30));

        var (_, output, _) = await RunAsync("status", "--json");
        using var status = JsonDocument.Parse(output);
        Assert.Equal(1, status.RootElement.GetProperty("counts").GetProperty("removed").GetInt64());
    }

    private CliProcess Start(string command, params string[] options) => CliProcess.Start(_folder.Path, [command, $"--store.engine={_location}", .. options]);

    private Task<(int Code, string Output, string Errors)> RunAsync(string command, params string[] options) => CliProcess.RunAsync(_folder.Path, [command, $"--store.engine={_location}", .. options]);
}
