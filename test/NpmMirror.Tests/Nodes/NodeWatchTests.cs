using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Hosting;
using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Nodes;

/// <summary>Nodes that note themselves in one store, with clocks of their own.</summary>
public sealed class NodeWatchTests : IAsyncDisposable
{
    private static readonly Uri Host = new("https://registry.example.org/ms");

    private readonly MemoryStore _store = new(TimeProvider.System);
    private readonly ByteBudget _budget = new(1_000_000);
    private readonly List<Node> _nodes = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            node.Watch.Dispose();
            node.Client.Dispose();
        }

        await _store.DisposeAsync();
        _budget.Dispose();
    }

    [Claim("`requestsPerSecond` holds for all nodes together: each takes an equal share, and a larger one when another ends or is killed, whatever their clocks say",
        With = [$"{nameof(Upstream.RequestPaceTests)}.{nameof(Upstream.RequestPaceTests.Of_three_nodes_each_asks_a_third)}"],
        Red = "`NodeWatch` does not tell the pace; it takes a node for alive by the time that this noted; it counts a node that ended")]
    [Fact]
    public async Task The_rate_is_shared_among_the_nodes_that_live()
    {
        foreach (var hoursAhead in (int[])[0, 1, -1])
        {
            await StartAsync(TimeSpan.FromHours(hoursAhead));
        }

        await BeatAsync(2);
        Assert.Equal(3, (await NotedNode.ReadAsync(_store.Notes, Token)).Count);
        Assert.All(_nodes, node => Assert.Equal(10, GrantedWithin(node, TimeSpan.FromSeconds(1))));

        // One ends, and one is killed: its beats stay away.
        await _nodes[0].Watch.StopAsync(Token);
        _nodes[1].IsKilled = true;
        await BeatAsync(4);
        Assert.Equal(_nodes[2].Watch.Own.Owner, Assert.Single(await NotedNode.ReadAsync(_store.Notes, Token)).Owner);
        Assert.Equal(30, GrantedWithin(_nodes[2], TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public async Task A_node_that_another_overwrote_is_back_with_its_next_beat()
    {
        await StartAsync(TimeSpan.Zero);
        await StartAsync(TimeSpan.Zero);
        await BeatAsync(1);
        var nodes = await NotedNode.ReadAsync(_store.Notes, Token);
        await NotedNode.WriteAsync(_store.Notes, nodes.Take(1), Token);
        await BeatAsync(1);
        Assert.Equal(nodes.Select(node => node.Owner).Order(), (await NotedNode.ReadAsync(_store.Notes, Token)).Select(node => node.Owner).Order());
        Assert.All(_nodes, node => Assert.Equal(15, GrantedWithin(node, TimeSpan.FromSeconds(1))));
    }

    private async Task StartAsync(TimeSpan ahead)
    {
        var clock = new FakeClock();
        clock.SetWallAhead(ahead);
        var client = new RegistryClient(new RegistryClientOptions { BaseUrl = Host, RequestsPerSecond = 30 }, _budget, clock, NullLogger.Instance);
        var node = new Node(clock, client, new NodeWatch(_store.Notes, client, clock));
        _nodes.Add(node);
        await node.Watch.StartAsync(Token);

        // Before the next node begins: of two that note themselves at once one is overwritten, until its next beat.
        await Eventually.Async(async () => (await NotedNode.ReadAsync(_store.Notes, Token)).Any(noted => noted.Owner == node.Watch.Own.Owner));
        await Eventually.Async(() => clock.Waiting > 0);
    }

    /// <summary>Each living node notes itself so often, one after the other.</summary>
    private async Task BeatAsync(int times)
    {
        for (var i = 0; i < times; i++)
        {
            foreach (var node in _nodes.Where(node => !node.IsKilled && node.Watch.ExecuteTask is { IsCompleted: false }))
            {
                var beat = node.Watch.Own.Beat;
                node.Clock.Advance(NodeWatch.Beat);
                await Eventually.Async(async () => (await NotedNode.ReadAsync(_store.Notes, Token)).Any(noted => noted.Owner == node.Watch.Own.Owner && noted.Beat > beat));
                await Eventually.Async(() => node.Clock.Waiting > 0);
            }
        }
    }

    /// <summary>How many requests of no waiting client may go at once, after a bucket was emptied and filled for a while.</summary>
    private static int GrantedWithin(Node node, TimeSpan time)
    {
        Granted(node);
        node.Clock.Advance(time);
        return Granted(node);
    }

    private static int Granted(Node node) => Upstream.RequestPaceTests.Granted(node.Client.Transport.Pace, Host, 100);

    private sealed record Node(FakeClock Clock, RegistryClient Client, NodeWatch Watch)
    {
        public bool IsKilled { get; set; }
    }
}
