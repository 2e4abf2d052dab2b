using System.Globalization;

namespace NpmMirror.Tests.Redis;

/// <summary>Three masters and three replicas, joined to a cluster.</summary>
public sealed class RedisCluster : IAsyncLifetime
{
    private int _prefixes;

    internal List<RedisServer> Servers { get; } = [];

    /// <summary>A location that no other test has, on one of the servers.</summary>
    internal string NewLocation() => string.Create(
        CultureInfo.InvariantCulture,
        $"redis://{string.Join(',', Servers.Select(server => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{server.Port}")))}/?prefix=c{Interlocked.Increment(ref _prefixes)}:");

    public async ValueTask InitializeAsync()
    {
        for (var i = 0; i < 6; i++)
        {
            var server = new RedisServer(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]) { IsInCluster = true };
            Servers.Add(server);
            await server.InitializeAsync();
        }

        await RedisCli.RunAsync(["--cluster", "create", .. Servers.Select(server => $"127.0.0.1:{server.Port.ToString(CultureInfo.InvariantCulture)}"), "--cluster-replicas", "1", "--cluster-yes"]);
        await Eventually.Async(async () =>
        {
            foreach (var server in Servers)
            {
                var info = await RedisCli.RunAsync(["-p", server.Port.ToString(CultureInfo.InvariantCulture), "cluster", "info"]);
                if (!info.Contains("cluster_state:ok", StringComparison.Ordinal))
                {
                    return false;
                }
            }

            // A replica that has not yet copied its master cannot follow it.
            foreach (var server in Servers)
            {
                var info = await RedisCli.RunAsync(["-p", server.Port.ToString(CultureInfo.InvariantCulture), "info", "replication"]);
                if (info.Contains("role:slave", StringComparison.Ordinal) ? !info.Contains("master_link_status:up", StringComparison.Ordinal) : !info.Contains("connected_slaves:1", StringComparison.Ordinal))
                {
                    return false;
                }
            }

            return true;
        });
    }

    /// <summary>The master that has a key.</summary>
    internal async Task<RedisServer> MasterOfAsync(string key)
    {
        var asked = Servers.First(server => server.IsRunning).Port.ToString(CultureInfo.InvariantCulture);
        var slot = int.Parse((await RedisCli.RunAsync(["-p", asked, "cluster", "keyslot", key])).Trim(), CultureInfo.InvariantCulture);
        var nodes = await RedisCli.RunAsync(["-p", asked, "cluster", "nodes"]);
        foreach (var line in nodes.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = line.Split(' ');
            if (parts[2].Contains("master", StringComparison.Ordinal) && parts.Skip(8).Any(range => range.Split('-') is [var from, .. var to] && int.TryParse(from, out var first) && slot >= first && slot <= (to.Length == 0 ? first : int.Parse(to[0], CultureInfo.InvariantCulture))))
            {
                var port = int.Parse(parts[1].Split('@')[0].Split(':')[1], CultureInfo.InvariantCulture);
                return Servers.Single(server => server.Port == port);
            }
        }

        throw new InvalidOperationException($"No server has {key}:\n{nodes}");
    }

    /// <summary>Moves the slot of a key to another master, key by key; between them its keys lie on both.</summary>
    internal async Task MoveSlotAsync(string key, Func<Task> halfway)
    {
        var from = await MasterOfAsync(key);
        var nodes = (await RedisCli.RunAsync("-p", Text(from.Port), "cluster", "nodes")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')).ToList();
        var source = nodes.Single(node => node[2].Contains("myself", StringComparison.Ordinal));
        var target = nodes.First(node => node[2] == "master" && node.Length > 8);
        var port = target[1].Split('@')[0].Split(':')[1];
        var slot = (await RedisCli.RunAsync("-p", Text(from.Port), "cluster", "keyslot", key)).Trim();
        await RedisCli.RunAsync("-p", port, "cluster", "setslot", slot, "importing", source[0]);
        await RedisCli.RunAsync("-p", Text(from.Port), "cluster", "setslot", slot, "migrating", target[0]);
        for (var moved = 0; ;)
        {
            var keys = (await RedisCli.RunAsync("-p", Text(from.Port), "cluster", "getkeysinslot", slot, "1")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            if (keys.Length == 0)
            {
                break;
            }

            await RedisCli.RunAsync(["-p", Text(from.Port), "migrate", "127.0.0.1", port, "", "0", "5000", "keys", .. keys]);
            moved += keys.Length;
            Assert.True(moved < 10_000, $"The keys of slot {slot} do not end.");
        }

        // The new master first, so that no write is sent in a circle.
        await RedisCli.RunAsync("-p", port, "cluster", "setslot", slot, "node", target[0]);
        await halfway();
        await RedisCli.RunAsync("-p", Text(from.Port), "cluster", "setslot", slot, "node", target[0]);
        await Eventually.Async(async () => (await MasterOfAsync(key)).Port == int.Parse(port, CultureInfo.InvariantCulture));
    }

    private static string Text(int port) => port.ToString(CultureInfo.InvariantCulture);

    public async ValueTask DisposeAsync()
    {
        foreach (var server in Servers)
        {
            await server.DisposeAsync();
        }
    }
}
