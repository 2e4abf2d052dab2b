using System.Globalization;

namespace NpmMirror.Tests.Redis;

/// <summary>A master, two replicas, and three sentinels that watch them.</summary>
internal sealed class RedisSentinelSet : IAsyncDisposable
{
    private readonly string? _password;

    private RedisSentinelSet(string? password) => _password = password;

    internal List<RedisServer> Servers { get; } = [];

    internal List<RedisServer> Sentinels { get; } = [];

    /// <summary>The name under which the sentinels know the master.</summary>
    internal static string Name => "mymaster";

    internal RedisServer Master => Servers[0];

    /// <summary>Starts all and waits until each knows the others.</summary>
    internal static async Task<RedisSentinelSet> StartAsync(string? password = null)
    {
        var set = new RedisSentinelSet(password);
        for (var i = 0; i < 3; i++)
        {
            var server = new RedisServer(i == 0 ? [] : ["--replicaof", "127.0.0.1", Text(set.Master.Port)]);
            set.Servers.Add(server);
            await server.InitializeAsync();
        }

        // Sentinels read the replicas from the master, once in ten seconds.
        await Eventually.Async(async () => (await RedisCli.RunAsync("-p", Text(set.Master.Port), "info", "replication")).Split("state=online").Length == 3);
        for (var i = 0; i < 3; i++)
        {
            var sentinel = new SentinelServer(set.Master.Port, Name, password);
            set.Sentinels.Add(sentinel);
            await sentinel.InitializeAsync();
        }

        foreach (var sentinel in set.Sentinels)
        {
            await Eventually.Async(async () =>
            {
                var facts = (await set.AskAsync(sentinel, "sentinel", "master", Name)).Split('\n');
                return After("num-slaves") == "2" && After("num-other-sentinels") == "2";

                string After(string name) => facts[Array.IndexOf(facts, name) + 1];
            });
        }

        return set;
    }

    /// <summary>The sentinels' location, with options after it.</summary>
    internal string Location(string options = "") => $"redis://{string.Join(',', Sentinels.Select(sentinel => $"127.0.0.1:{Text(sentinel.Port)}"))}/0?sentinel={Name}{options}";

    public async ValueTask DisposeAsync()
    {
        foreach (var server in Sentinels.Concat(Servers))
        {
            await server.DisposeAsync();
        }
    }

    private Task<string> AskAsync(RedisServer sentinel, params string[] question) => RedisCli.RunAsync([.. _password is null ? (string[])[] : ["-a", _password, "--no-auth-warning"], "-p", Text(sentinel.Port), .. question]);

    private static string Text(int port) => port.ToString(CultureInfo.InvariantCulture);

    /// <summary>A redis-server that watches others.</summary>
    private sealed class SentinelServer : RedisServer
    {
        internal SentinelServer(int master, string name, string? password) => File.WriteAllLines(
            Configuration,
            [
                string.Create(CultureInfo.InvariantCulture, $"sentinel monitor {name} 127.0.0.1 {master} 2"),
                $"sentinel down-after-milliseconds {name} 500",
                $"sentinel failover-timeout {name} 3000",
                .. password is null ? (string[])[] : [$"requirepass {password}", $"sentinel sentinel-pass {password}"],
            ]);

        protected override IReadOnlyList<string> Command => ["redis-server", Configuration, "--sentinel", "--port", Text(Port), "--bind", "127.0.0.1", "--dir", Folder];

        protected override string ReadyWords => "+monitor master";

        private string Configuration => Path.Combine(Folder, "sentinel.conf");
    }
}
