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
        await using var writer = new RedisWriter(store);
        await writer.WaitForMoreAsync(50);
        var prefix = location[(location.IndexOf('=', StringComparison.Ordinal) + 1)..location.IndexOf('&', StringComparison.Ordinal)];
        var key = $"{{{prefix}{room}}}/head";
        var victim = await cluster.MasterOfAsync(key);
        await victim.KillAsync();

        // No server has its slots for a while, then its replica does; that needs a replica itself to acknowledge.
        await Eventually.Async(async () => await cluster.MasterOfAsync(key) is { IsRunning: true });
        await victim.StartAsync();
        await writer.WaitForMoreAsync(50);
        await writer.AssertNothingLostAsync(Cancelled);
    }

    [Claim("A slot of a Redis cluster that moves to another master in the middle of work loses nothing")]
    [Theory]
    [InlineData("log")]
    [InlineData("names")]
    [InlineData("mirror")]
    public async Task Loses_nothing_while_a_slot_moves(string room)
    {
        var location = cluster.NewLocation();
        await using var store = RedisStores.Create(location);
        await store.OpenAsync(Cancelled);
        await using var writer = new RedisWriter(store);
        await writer.WaitForMoreAsync(50);
        var key = $"{{{location[(location.IndexOf('=', StringComparison.Ordinal) + 1)..]}{room}}}/head";
        var from = await cluster.MasterOfAsync(key);
        await cluster.MoveSlotAsync(key, () => writer.WaitForMoreAsync(20));
        Assert.NotEqual(from.Port, (await cluster.MasterOfAsync(key)).Port);
        await writer.WaitForMoreAsync(50);
        await writer.AssertNothingLostAsync(Cancelled);
    }
}
