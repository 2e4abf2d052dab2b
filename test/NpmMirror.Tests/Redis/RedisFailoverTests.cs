using NpmMirror.Log;

namespace NpmMirror.Tests.Redis;

/// <summary>Its own cluster: it loses a server.</summary>
[Trait("Duration", "long")]
public sealed class RedisFailoverTests(RedisCluster cluster) : IClassFixture<RedisCluster>
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A master of a Redis cluster that is killed in the middle of work is taken over by its replica, and nothing acknowledged is lost with replicas=1")]
    [Theory]
    [InlineData("log")]
    [InlineData("names")]
    [InlineData("mirror")]
    public async Task Loses_nothing_acknowledged_when_a_master_is_killed(string room)
    {
        var location = cluster.NewLocation() + "&replicas=1";
        await using var store = RedisStores.Create(location);
        await store.OpenAsync(Cancelled);
        var acknowledged = new List<string>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        var writing = WriteAsync();
        await Eventually.Async(() => Count() >= 50);
        var prefix = location[(location.IndexOf('=', StringComparison.Ordinal) + 1)..location.IndexOf('&', StringComparison.Ordinal)];
        var key = $"{{{prefix}{room}}}/head";
        var victim = await cluster.MasterOfAsync(key);
        await victim.KillAsync();

        // No server has its slots for a while, then its replica does; that needs a replica itself to acknowledge.
        await Eventually.Async(async () => await cluster.MasterOfAsync(key) is { IsRunning: true });
        await victim.StartAsync();
        var before = Count();
        await Eventually.Async(() => Count() >= before + 50);
        await stop.CancelAsync();
        await writing;

        while (await store.Log.NumberEventsAsync(Cancelled) > 0)
        {
            // More may wait.
        }

        foreach (var name in acknowledged)
        {
            Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse(name), Cancelled));
        }

        var listed = await store.Packages.ListAsync(null, false, Cancelled).Select(row => row.Name.Value).ToListAsync(Cancelled);
        Assert.Subset(listed.ToHashSet(), acknowledged.ToHashSet());
        var rows = await store.Log.ReadLogAsync(LogPosition.Zero, Cancelled).ToListAsync(Cancelled);
        Assert.Subset(rows.Select(row => row.Package.Value).ToHashSet(), acknowledged.ToHashSet());
        Assert.Equal(rows.Count, rows.Select(row => row.Package).Distinct().Count());
        var hash = ChainHash.Genesis;
        foreach (var row in rows)
        {
            hash = ChainHash.Next(hash, row);
            Assert.Equal(hash, row.Hash);
        }

        async Task WriteAsync()
        {
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                try
                {
                    if ((await store.Packages.CommitAsync(RedisTroubleTests.NewCommit($"p{i}", 0, events: 1), CancellationToken.None)).IsCommitted)
                    {
                        lock (acknowledged)
                        {
                            acknowledged.Add($"p{i}");
                        }
                    }
                }
                catch (MirrorException e) when (e.IsTransient)
                {
                    // Nothing was acknowledged.
                }
            }
        }

        int Count()
        {
            lock (acknowledged)
            {
                return acknowledged.Count;
            }
        }
    }
}
