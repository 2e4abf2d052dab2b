using NpmMirror.AspNetCore.Packages;
using NpmMirror.Storage;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Searches wait for a budget that is used up, because they must decode.</summary>
public sealed class TarballDescriptionsTests
{
    private static readonly PackageName Name = PackageName.Parse("left-pad");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("Two hundred clients that ask for one new tarball at once cost one search in its packument; a client that joins an earlier search still finds a version published since",
        With = [nameof(A_search_that_joins_an_older_one_finds_a_version_published_since), nameof(A_search_that_cannot_be_done_in_time_ends)],
        Red = "each looks for himself: the first was red; what an older look did not find is believed: the second; the look has no limit: the last")]
    [Fact]
    public async Task Two_hundred_readers_of_one_tarball_cost_one_search_in_its_packument()
    {
        await using var store = new MemoryStore(TimeProvider.System);
        await ServedMirror.PutAsync(store, "left-pad", Packument("1.0.0"));
        using var budget = new ByteBudget(1000);
        var descriptions = new TarballDescriptions(store, budget, TimeProvider.System);
        var taken = await budget.ReserveAsync(1000, Cancelled);
        var searches = Enumerable.Range(0, 200).Select(_ => descriptions.FindAsync(Name, "left-pad-1.0.0.tgz", Cancelled)).ToArray();
        taken.Dispose();
        Assert.All(await Task.WhenAll(searches), found => Assert.Equal("1.0.0", found?.Version.Version));
        Assert.Equal(1, descriptions.SearchCount);
    }

    [Fact]
    public async Task A_search_that_joins_an_older_one_finds_a_version_published_since()
    {
        await using var store = new MemoryStore(TimeProvider.System);
        await ServedMirror.PutAsync(store, "left-pad", Packument("1.0.0"));
        using var budget = new ByteBudget(1000);
        var descriptions = new TarballDescriptions(store, budget, TimeProvider.System);
        var taken = await budget.ReserveAsync(1000, Cancelled);
        var before = descriptions.FindAsync(Name, "left-pad-1.1.0.tgz", Cancelled);
        await Eventually.Async(() => descriptions.SearchCount == 1 && budget.WaitingCount == 1);
        await ServedMirror.PutAsync(store, "left-pad", Packument("1.1.0"));
        var since = descriptions.FindAsync(Name, "left-pad-1.1.0.tgz", Cancelled);
        taken.Dispose();
        Assert.Null(await before);
        Assert.Equal("1.1.0", (await since)?.Version.Version);
    }

    [Fact]
    public async Task A_search_that_cannot_be_done_in_time_ends()
    {
        await using var store = new MemoryStore(TimeProvider.System);
        await ServedMirror.PutAsync(store, "left-pad", Packument("1.0.0"));
        using var budget = new ByteBudget(1000);
        var clock = new FakeClock();
        var descriptions = new TarballDescriptions(store, budget, clock);
        using var taken = await budget.ReserveAsync(1000, Cancelled);
        var search = descriptions.FindAsync(Name, "left-pad-1.0.0.tgz", Cancelled);
        await Eventually.Async(() => clock.IsNextIn(TimeSpan.FromSeconds(30)));
        clock.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(MirrorFault.StoreUnavailable, (await Assert.ThrowsAsync<MirrorException>(() => search)).Fault);
    }

    private static string Packument(string version) =>
        $$"""{"name":"left-pad","versions":{"{{version}}":{"version":"{{version}}","dist":{"tarball":"https://registry.example.org/left-pad/-/left-pad-{{version}}.tgz"} } } }""";
}
