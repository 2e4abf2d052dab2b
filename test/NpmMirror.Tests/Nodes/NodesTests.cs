using System.Text.RegularExpressions;
using NpmMirror.Testing;
using NpmMirror.Tests.Cli;
using NpmMirror.Tests.Postgres;

namespace NpmMirror.Tests.Nodes;

/// <summary>Three processes on one PostgreSQL, in folders of their own.</summary>
[Trait("Duration", "long")]
public sealed partial class NodesTests(SharedPostgres postgres) : IAsyncLifetime
{
    private const string Leads = "leads: it follows the upstream";

    private readonly List<(CliProcess Process, TempFolder Folder, HttpClient Client)> _nodes = [];
    private readonly string _schema = PostgresServer.NewSchema();
    private FakeRegistry _upstream = null!;

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

    [Fact]
    public async Task Another_node_follows_after_the_leader_was_killed()
    {
        _upstream.Publish(new FakePackage("first").Version("1.0.0"));
        for (var i = 0; i < 3; i++)
        {
            await StartNodeAsync();
        }

        await AllServeAsync("first", "1.0.0");
        var leader = Assert.Single(_nodes, node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal));
        Assert.Equal(2, _nodes.Count(node => node.Process.Errors.Contains("Another node leads", StringComparison.Ordinal)));

        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0"));
        await AllServeAsync("first", "1.1.0");

        await leader.Process.SignalAsync("KILL");
        _nodes.Remove(leader);
        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0").Version("1.2.0"));
        await Eventually.Async(() => _nodes.Exists(node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal)));
        await AllServeAsync("first", "1.2.0");
        Assert.Single(_nodes, node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal));
        await leader.Process.DisposeAsync();
        leader.Client.Dispose();
        leader.Folder.Dispose();
    }

    private async Task StartNodeAsync()
    {
        var folder = new TempFolder();
        var location = (await postgres.GetAsync()).Location(_schema);
        var process = CliProcess.Start(folder.Path, ["serve", "--listen=http://127.0.0.1:0", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all", "--ttl=1h", $"--store.engine={location}"]);
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
