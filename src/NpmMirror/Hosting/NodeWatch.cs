using System.Reflection;
using Microsoft.Extensions.Hosting;
using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Hosting;

/// <summary>
/// Notes this node among those that share a store, for <c>status</c>, and counts them: <c>requestsPerSecond</c> holds for all together, so each node takes an
/// equal share. The note is one list that each node reads and writes in turn; a node that another one overwrites is back with its next beat.
/// </summary>
internal sealed class NodeWatch(INoteTable notes, RegistryClient upstream, TimeProvider time) : BackgroundService
{
    private const int NodesMax = 1_000;

    /// <summary>How often a node notes itself.</summary>
    internal static readonly TimeSpan Beat = TimeSpan.FromSeconds(5);

    // Twice a node may be overwritten, or be late, before it counts as gone.
    private static readonly TimeSpan Gone = 3 * Beat;

    private static readonly string Version = typeof(NodeWatch).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    private readonly Dictionary<string, (long Beat, long At)> _heard = new(StringComparer.Ordinal);

    /// <summary>This node, as it noted itself last.</summary>
    internal NotedNode Own { get; private set; } = new(NotedNode.OwnName, Version, time.GetUtcNow(), time.GetUtcNow(), Guid.NewGuid().ToString("N"), 0);

    /// <inheritdoc/>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            await NotedNode.WriteAsync(notes, (await NotedNode.ReadAsync(notes, cancellationToken)).Where(node => node.Owner != Own.Owner), cancellationToken);
        }
        catch (Exception trouble) when (trouble is MirrorException or OperationCanceledException)
        {
            // The others miss its beat.
        }
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            using var timer = new PeriodicTimer(Beat, time);
            do
            {
                await BeatAsync(stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The end of the watch.
        }
    }

    private async Task BeatAsync(CancellationToken cancellationToken)
    {
        try
        {
            var others = (await NotedNode.ReadAsync(notes, cancellationToken)).Where(node => node.Owner != Own.Owner && IsAlive(node)).Take(NodesMax).ToList();
            upstream.ShareAmong(CountHeard() + 1);
            Own = Own with { Beat = Own.Beat + 1, BeatAt = time.GetUtcNow() };
            await NotedNode.WriteAsync(notes, [.. others, Own], cancellationToken);
        }
        catch (MirrorException)
        {
            // The store is in trouble, which others tell. The share stays.
        }
    }

    /// <summary>Clocks of nodes differ: a node is alive if its beat was another one lately, by the clock of this node.</summary>
    private bool IsAlive(NotedNode node)
    {
        if (!_heard.TryGetValue(node.Owner, out var heard) || heard.Beat != node.Beat)
        {
            _heard[node.Owner] = (node.Beat, time.GetTimestamp());
            return true;
        }

        return time.GetElapsedTime(heard.At) < Gone;
    }

    /// <summary>The nodes heard lately, also those that another one has just overwritten.</summary>
    private int CountHeard()
    {
        foreach (var gone in _heard.Where(heard => time.GetElapsedTime(heard.Value.At) >= Gone).Select(heard => heard.Key).ToList())
        {
            _heard.Remove(gone);
        }

        return _heard.Count;
    }
}
