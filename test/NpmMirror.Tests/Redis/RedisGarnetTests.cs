using NpmMirror.Conformance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Redis;

/// <summary>The contract over Garnet, in the classic layout.</summary>
[Trait("Duration", "long")]
public sealed class RedisGarnetTests(GarnetServer server) : PersistentMetadataStoreContract, IClassFixture<GarnetServer>
{
    private readonly string _location = server.NewLocation();

    protected override IMetadataStore Create(TimeProvider timeProvider) => RedisStores.Create(_location, timeProvider);

    [Claim("Garnet keeps the contract if its scripts are steps; a Garnet that mixes the scripts of its clients, has none, or cannot do what an option asks for is refused in one sentence",
        With = [nameof(Keeps_what_was_acknowledged_when_garnet_is_killed)],
        Red = "without `RedisSteps.CheckAsync`: red (that Garnet lost 84 of 6,000 increments by four clients)")]
    [Fact]
    public async Task Refuses_a_garnet_that_mixes_scripts()
    {
        await using var mixing = new GarnetServer([]);
        await mixing.InitializeAsync();
        var failure = await FailsToOpenAsync(mixing.NewLocation());
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.Contains("start it with --lua true --lua-transaction-mode true", failure.Message, StringComparison.Ordinal);
        Assert.Contains("mixes the scripts", (await FailsToOpenAsync(mixing.NewLocation())).Message, StringComparison.Ordinal);

        await using var bare = new GarnetServer(["--lua", "false"]);
        await bare.InitializeAsync();
        Assert.Contains("runs no scripts, which a mirror needs", (await FailsToOpenAsync(bare.NewLocation())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keeps_what_was_acknowledged_when_garnet_is_killed()
    {
        await using var safe = new GarnetServer(["--lua-transaction-mode", "true", "--aof-commit-wait", "true"]);
        await safe.InitializeAsync();
        var location = safe.NewLocation();
        Assert.Contains("leave replicas out", (await FailsToOpenAsync(location + "&replicas=1")).Message, StringComparison.Ordinal);
        var log = new CollectedLog();
        await using (var store = RedisStores.Create(location, loggers: log.Factory))
        {
            await store.OpenAsync(Cancelled);
            Assert.Contains("cannot be asked whether it keeps what does not fit into its memory", Assert.Single(log.Lines), StringComparison.Ordinal);
            for (var i = 0; i < 50; i++)
            {
                Assert.True((await store.Packages.CommitAsync(RedisTroubleTests.NewCommit($"p{i}", 0), Cancelled)).IsCommitted);
            }
        }

        await safe.KillAsync();
        await safe.StartAsync();
        await using var again = RedisStores.Create(location);
        await again.OpenAsync(Cancelled);
        Assert.Equal(50, await again.Packages.ListAsync(null, false, Cancelled).CountAsync(Cancelled));
        Assert.Equal(100, await again.Log.ReadLogAsync(LogPosition.Zero, Cancelled).CountAsync(Cancelled));
    }

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private static async Task<MirrorException> FailsToOpenAsync(string location)
    {
        await using var store = RedisStores.Create(location);
        return await Assert.ThrowsAsync<MirrorException>(() => store.OpenAsync(Cancelled));
    }
}
