using System.Text.RegularExpressions;
using NpmMirror.Testing;
using NpmMirror.Tests.Cli;
using NpmMirror.Tests.MongoDB;
using NpmMirror.Tests.Postgres;
using NpmMirror.Tests.Redis;

namespace NpmMirror.Tests.Nodes;

/// <summary>Three processes on one store, in folders of their own; the store is PostgreSQL where a test does not name another.</summary>
[Trait("Duration", "long")]
public sealed partial class NodesTests(SharedPostgres postgres, SharedMongo mongo, RedisServer redis) : IAsyncLifetime, IClassFixture<RedisServer>
{
    private const string Leads = "leads: it follows the upstream";

    private readonly List<(CliProcess Process, TempFolder Folder, HttpClient Client)> _nodes = [];
    private readonly string _schema = PostgresServer.NewSchema();
    private FakeRegistry _upstream = null!;
    private PostgresServer? _server;
    private string? _location;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _upstream = await FakeRegistry.StartAsync(cancellationToken: Cancelled);

    public async ValueTask DisposeAsync()
    {
        foreach (var (process, folder, client) in _nodes)
        {
            await process.DisposeAsync();
            client.Dispose();
            folder.Dispose();
        }

        await _upstream.DisposeAsync();
    }

    [Claim("When the leading node is killed another one follows, and `status` lists the nodes that are left",
        Red = "`Leadership` never takes a lease that ended; `NodeWatch` keeps a node whose beats stay away")]
    [Theory]
    [InlineData("PostgreSQL")]
    [InlineData("Redis")]
    [InlineData("MongoDB")]
    public async Task Another_node_follows_after_the_leader_was_killed(string engine)
    {
        _location = engine switch
        {
            "Redis" => redis.NewLocation(),
            "MongoDB" => await mongo.NewLocationAsync(),
            _ => null,
        };
        var leader = await StartNodesAsync();
        await Eventually.Async(async () => await NodesInStatusAsync() is (3, 1));
        Assert.Equal(2, _nodes.Count(node => node.Process.Errors.Contains("Another node leads", StringComparison.Ordinal)));

        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0"));
        await AllServeAsync("first", "1.1.0");

        await leader.Process.SignalAsync("KILL");
        _nodes.Remove(leader);
        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0").Version("1.2.0"));
        await Eventually.Async(() => _nodes.Exists(node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal)));
        await AllServeAsync("first", "1.2.0");
        Assert.Single(_nodes, node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal));
        await Eventually.Async(async () => await NodesInStatusAsync() is (2, 1));
        await leader.Process.DisposeAsync();
        leader.Client.Dispose();
        leader.Folder.Dispose();
    }

    [Claim("A leader that was stopped for longer than its lease and goes on follows no more, serves, and shows what the next one brought",
        Red = "`Leadership` does not end the work before the lease: two lead")]
    [Fact]
    public async Task A_leader_that_slept_stands_by_when_it_wakes()
    {
        var leader = await StartNodesAsync();
        await leader.Process.SignalAsync("STOP");
        try
        {
            _nodes.Remove(leader);
            await Eventually.Async(() => _nodes.Exists(node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal)));
            _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0"));
            await AllServeAsync("first", "1.1.0");
        }
        finally
        {
            await leader.Process.SignalAsync("CONT");
            _nodes.Add(leader);
        }

        await leader.Process.WaitForErrorAsync("leads no more");
        await leader.Process.WaitForErrorAsync("Another node leads");
        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0").Version("1.2.0"));
        await AllServeAsync("first", "1.2.0");
        Assert.Equal(2, _nodes.Count(node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal)));
    }

    [Claim("While the store's server is away, nodes serve what they have in memory and say so in `/health/ready`; they recover by themselves")]
    [Fact]
    public async Task Nodes_outlive_their_stores_server()
    {
        await using var server = await PostgresServer.StartNewAsync();
        _server = server;
        await StartNodesAsync();
        await server.StopAsync();
        foreach (var (_, _, client) in _nodes)
        {
            Assert.Contains("\"1.0.0\"", await client.GetStringAsync("npm/first", Cancelled), StringComparison.Ordinal);
            await Eventually.Async(async () => !await IsReadyAsync(client));
        }

        await server.StartAsync();
        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0"));
        foreach (var (_, _, client) in _nodes)
        {
            await Eventually.Async(() => IsReadyAsync(client));
        }

        await AllServeAsync("first", "1.1.0");
    }

    [Claim("Nodes whose clocks differ by two hours lead and hand over as others do, and bring what failed under another",
        With = [$"{nameof(NodeWatchTests)}.{nameof(NodeWatchTests.The_rate_is_shared_among_the_nodes_that_live)}"],
        Red = "leases of PostgreSQL end by the clock of the node that asks: another one leads at once")]
    [Theory]
    [InlineData("+1h", "-1h")]
    [InlineData("-1h", "+1h")]
    public async Task Clocks_hours_apart_hold_up_no_change_and_no_hand_over(string first, string second)
    {
        Assert.SkipUnless(TestTools.Has("libfaketime"), TestTools.Missing("libfaketime"));
        _upstream.Publish(new FakePackage("first").Version("1.0.0"));
        await StartNodeAsync(first);
        var leader = Assert.Single(_nodes);
        await leader.Process.WaitForErrorAsync(Leads);
        await StartNodeAsync(second);
        var other = _nodes[1];
        await other.Process.WaitForErrorAsync("Another node leads");
        await AllServeAsync("first", "1.0.0");

        // A change, and longer than a lease: the first goes on leading. A node counts as such for some beats of its own.
        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0"));
        await AllServeAsync("first", "1.1.0");
        await Eventually.Async(async () => await NodesInStatusAsync() is (2, 1));
        Assert.DoesNotContain(Leads, other.Process.Errors, StringComparison.Ordinal);

        // What failed under the first is tried by the second.
        var rule = _upstream.Knobs.Add(new FakeRule { Path = "/late", Status = 500 });
        _upstream.Publish(new FakePackage("late").Version("1.0.0"));
        await Eventually.Async(() => _upstream.Requests.CountOf("/late") > 0);
        await leader.Process.SignalAsync("KILL");
        await leader.Process.WaitForExitAsync();
        await other.Process.WaitForErrorAsync(Leads);
        _upstream.Knobs.Remove(rule);
        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0").Version("1.2.0"));
        _nodes.Remove(leader);
        try
        {
            await AllServeAsync("first", "1.2.0");
            await Eventually.Async(async () => (await NodesInStatusAsync(), await StatusLineAsync("Queue")) is ((1, 1), "empty"));
        }
        finally
        {
            _nodes.Add(leader);
        }
    }

    /// <summary>Starts three nodes that serve a package; returns the one that leads.</summary>
    private async Task<(CliProcess Process, TempFolder Folder, HttpClient Client)> StartNodesAsync()
    {
        _upstream.Publish(new FakePackage("first").Version("1.0.0"));
        for (var i = 0; i < 3; i++)
        {
            await StartNodeAsync();
        }

        await AllServeAsync("first", "1.0.0");
        return Assert.Single(_nodes, node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal));
    }

    private static async Task<bool> IsReadyAsync(HttpClient client)
    {
        using var answer = await client.GetAsync("/health/ready", Cancelled);
        return answer.IsSuccessStatusCode;
    }

    /// <summary>The nodes that <c>status</c> lists, and how many of them followed the feed last.</summary>
    private async Task<(int Nodes, int Leaders)> NodesInStatusAsync()
    {
        var lines = (await StatusAsync()).Where(line => line.StartsWith("Node ", StringComparison.Ordinal)).ToList();
        return (lines.Count, lines.Count(line => line.EndsWith("followed the feed last", StringComparison.Ordinal)));
    }

    private async Task<string?> StatusLineAsync(string title) => (await StatusAsync()).FirstOrDefault(line => line.StartsWith(title + ' ', StringComparison.Ordinal))?[title.Length..].Trim();

    private async Task<string[]> StatusAsync()
    {
        var (code, output, errors) = await CliProcess.RunAsync(_nodes[0].Folder.Path, ["status", $"--store.engine={await LocationAsync()}"]);
        Assert.True(code == 0, errors);
        return output.Split('\n');
    }

    private async Task<string> LocationAsync() => _location ?? (_server ?? await postgres.GetAsync()).Location(_schema);

    /// <param name="clock">How far its clock is ahead, as faketime takes it; null: the machine's.</param>
    private async Task StartNodeAsync(string? clock = null)
    {
        var folder = new TempFolder();
        var location = await LocationAsync();
        string[] serve = ["serve", "--listen=http://127.0.0.1:0", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all", "--ttl=1h", $"--store.engine={location}"];

        // Only the time of day is another: pauses and time-outs go by the other clock.
        var process = clock is null
            ? CliProcess.Start(folder.Path, serve)
            : CliProcess.Start(folder.Path, serve, ("LD_PRELOAD", TestTools.Command("libfaketime")[0]), ("FAKETIME", clock), ("FAKETIME_DONT_FAKE_MONOTONIC", "1"));
        var address = Address().Match(await process.WaitForOutputAsync("Serving ")).Value;
        _nodes.Add((process, folder, new HttpClient { BaseAddress = new Uri(address) }));
    }

    private async Task AllServeAsync(string package, string version)
    {
        foreach (var (_, _, client) in _nodes)
        {
            await Eventually.Async(async () => (await client.GetStringAsync($"npm/{package}", Cancelled)).Contains($"\"{version}\"", StringComparison.Ordinal));
        }
    }

    [GeneratedRegex(@"http://127\.0\.0\.1:\d+/")]
    private static partial Regex Address();
}
