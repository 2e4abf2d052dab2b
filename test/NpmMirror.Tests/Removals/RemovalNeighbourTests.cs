using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Removals;

/// <summary>The answers for other packages while one is missing: whether the upstream is well, and the cost of asking.</summary>
public sealed class RemovalNeighbourTests
{
    [Claim("A 404 of one package while no other can be fetched, with any answers of the others, removes nothing, and a monitor without a store tells of no deletion",
        With =
        [
            $"{nameof(Following.FetchingHandlerTests)}.{nameof(Following.FetchingHandlerTests.A_package_that_is_missing_while_no_other_can_be_had_is_not_gone)}",
        ],
        Red = "`RemovalCheck.IsAliveAsync` is true after trouble; `FetchingHandler` asks for no other package: the last was red")]
    [Theory]
    [InlineData(500)]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(429)]
    [InlineData(403)]
    [InlineData(404)]
    public async Task A_package_that_is_missing_while_no_other_can_be_had_is_not_removed(int others)
    {
        await using var bench = await HoldAsync("a", "b", "c");
        var missingSince = bench.Clock.GetUtcNow();
        // The rule that was added last is asked first.
        bench.Upstream.Knobs.Fail("*", others);
        bench.Upstream.Knobs.Fail("/b", 404);
        bench.Clock.Advance(TimeSpan.FromHours(1));
        var result = await bench.SyncAsync("b", bench.Item("b") with { MissingSince = missingSince });
        Assert.Contains("for other packages too", Assert.IsType<SyncResult.Unchanged>(result).RetryBecause, StringComparison.Ordinal);
        Assert.False((await bench.RowAsync("b"))!.Facts.IsRemoved);
    }

    [Claim("A packument fetched to see whether another package lives is given back to the budget",
        Red = "`RemovalCheck.IsAliveAsync` does not dispose the document")]
    [Fact]
    public async Task A_neighbour_that_was_asked_gives_its_bytes_back()
    {
        await using var bench = await HoldAsync("a", "b", "c");
        bench.Upstream.Delete("b");
        var missingSince = bench.Clock.GetUtcNow();
        bench.Clock.Advance(TimeSpan.FromHours(1));
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("b", bench.Item("b") with { MissingSince = missingSince }));
        Assert.Equal(0, bench.Budget.UsedBytes);
    }

    private static async Task<MirrorBench> HoldAsync(params string[] names)
    {
        var bench = await MirrorBench.StartAsync();
        foreach (var name in names)
        {
            bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
            await bench.SyncAsync(name);
        }

        return bench;
    }
}
