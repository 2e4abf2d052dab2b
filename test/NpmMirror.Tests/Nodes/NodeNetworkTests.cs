using NpmMirror.Testing;
using NpmMirror.Tests.Cli;
using NpmMirror.Tests.Postgres;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.Nodes;

/// <summary>Three nodes in three networks, with one store and one upstream.</summary>
[Trait("Duration", "long")]
public sealed class NodeNetworkTests(SharedPostgres postgres) : IAsyncLifetime
{
    private const string Leads = "leads: it follows the upstream";
    private readonly string _schema = PostgresServer.NewSchema();
    private readonly List<Node> _nodes = [];
    private FakeRegistry _upstream = null!;
    private PostgresServer _server = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => (_upstream, _server) = (await FakeRegistry.StartAsync(cancellationToken: Cancelled), await postgres.GetAsync());

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }

        await _upstream.DisposeAsync();
    }

    [Claim("When the network of the leading node is cut another one follows; the cut one leads no more, stands by when its network is back, and no change is lost or told twice",
        Red = "`Leadership` does not end the work before the lease")]
    [Fact]
    public async Task A_leader_whose_network_was_cut_stands_by_when_it_is_back()
    {
        _upstream.Publish(new FakePackage("first").Version("1.0.0"));
        for (var i = 0; i < 3; i++)
        {
            _nodes.Add(await StartAsync());
        }

        await ServedAsync(_nodes, "1.0.0");
        var leader = Assert.Single(_nodes, node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal));
        List<Node> others = [.. _nodes.Where(node => node != leader)];
        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0"));
        await ServedAsync(_nodes, "1.1.0");

        await leader.Network.CutAsync();
        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0").Version("1.2.0"));
        await Eventually.Async(() => others.Exists(node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal)));
        await ServedAsync(others, "1.2.0");
        await leader.Process.WaitForErrorAsync("leads no more");

        await leader.Network.MendAsync();
        await leader.Process.WaitForErrorAsync("Another node leads");
        await ServedAsync(_nodes, "1.2.0");
        _upstream.Publish(new FakePackage("first").Version("1.0.0").Version("1.1.0").Version("1.2.0").Version("1.3.0"));
        await ServedAsync(_nodes, "1.3.0");

        Assert.Equal(2, _nodes.Count(node => node.Process.Errors.Contains(Leads, StringComparison.Ordinal)));
        var published = await _server.RunAsync("select convert_from(payload, 'UTF8') from log where type = 'VersionPublished' order by position", _schema);
        Assert.Equal(["1.1.0", "1.2.0", "1.3.0"], published.Select(payload => System.Text.Json.JsonDocument.Parse(payload).RootElement.GetProperty("version").GetString()));
    }

    private async Task<Node> StartAsync()
    {
        var network = await SeparateNetwork.CreateAsync();
        var (upstream, store) = (new FlakyLink(_upstream.Url.Port, network.Host), new FlakyLink(_server.Port, network.Host));
        var folder = new TempFolder();
        var process = CliProcess.StartBelow(
            network.Wrapper,
            folder.Path,
            [
                "serve", $"--listen=http://{network.Own}:8080", $"--upstream=http://{network.Host}:{upstream.Port}/", $"--feed=http://{network.Host}:{upstream.Port}/registry/", "--metadata=all", "--ttl=1h",
                $"--store.engine={_server.Location(_schema, port: store.Port).Replace("127.0.0.1", network.Host.ToString(), StringComparison.Ordinal)}",
            ]);
        await process.WaitForOutputAsync("Serving ");
        return new Node(network, upstream, store, folder, process, new HttpClient { BaseAddress = new Uri($"http://{network.Own}:8080/") });
    }

    private static async Task ServedAsync(List<Node> nodes, string version)
    {
        foreach (var node in nodes)
        {
            await Eventually.Async(async () =>
            {
                using var answer = await node.Client.GetAsync("npm/first", Cancelled);
                return answer.IsSuccessStatusCode && (await answer.Content.ReadAsStringAsync(Cancelled)).Contains($"\"{version}\"", StringComparison.Ordinal);
            });
        }
    }

    private sealed record Node(SeparateNetwork Network, FlakyLink Upstream, FlakyLink Store, TempFolder Folder, CliProcess Process, HttpClient Client) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await Process.DisposeAsync();
            Client.Dispose();
            await Upstream.DisposeAsync();
            await Store.DisposeAsync();
            Folder.Dispose();
            Network.Dispose();
        }
    }
}
