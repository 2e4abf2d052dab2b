using NpmMirror.Options;
using NpmMirror.Removals;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Syncing;

/// <summary>An unlikely answer of an upstream is believed after a day of tries, and not because the wall clock has leapt over one.</summary>
public sealed class DoubtTests
{
    public static TheoryData<string, Action<FakeRegistry>> Doubtful() => new()
    {
        { "it is gone", upstream => upstream.Knobs.Fail("/left-pad", 404) },
        { "its revision is lower", upstream => Answer(upstream, """{"_rev":"1-b","name":"left-pad","versions":{}}""") },
        { "it has no versions", upstream => Answer(upstream, """{"_rev":"9-b","name":"left-pad","versions":{}}""") },
        { "it is older than the feed says", _ => { } },
    };

    [Claim("A wall clock that leaps over a day ends no doubt: nothing is removed, replaced by an older document or given up without a day's tries",
        With = [nameof(Tarballs_that_cannot_be_fetched_are_not_given_up_by_a_leap)],
        Red = "`PackageSync.IsDoubtOver` counts no tries: the first was red")]
    [Theory]
    [MemberData(nameof(Doubtful), DisableDiscoveryEnumeration = true)]
    public async Task A_leap_of_the_wall_clock_ends_no_doubt(string doubt, Action<FakeRegistry> begin)
    {
        Assert.NotEmpty(doubt);
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        bench.Upstream.PublishVersion("left-pad", "1.1.0");
        await bench.SyncAsync("left-pad");
        var held = await bench.RowAsync("left-pad");
        begin(bench.Upstream);

        var item = bench.Item("left-pad", "12-z");
        var first = await bench.SyncAsync("left-pad", item);
        Assert.NotNull(first.RetryBecause);
        bench.Clock.SetWallAhead(TimeSpan.FromDays(400));
        var again = item with { MissingSince = first.MissingSince, Attempts = 4 };
        Assert.NotNull((await bench.SyncAsync("left-pad", again)).RetryBecause);
        Assert.Equal(held!.Facts.Removal, (await bench.RowAsync("left-pad"))!.Facts.Removal);

        // A day of tries: then it is believed.
        Assert.Null((await bench.SyncAsync("left-pad", again with { Attempts = RemovalCheck.DoubtTriesMin })).RetryBecause);
    }

    [Fact]
    public async Task Tarballs_that_cannot_be_fetched_are_not_given_up_by_a_leap()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Tarballs = TarballMode.Eager });
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        bench.Upstream.Knobs.Fail("/left-pad/-/*", 404);
        var item = bench.Item("left-pad");
        Assert.NotNull((await bench.SyncAsync("left-pad", item)).RetryBecause);
        bench.Clock.SetWallAhead(TimeSpan.FromDays(400));
        Assert.NotNull((await bench.SyncAsync("left-pad", item with { Attempts = 4 })).RetryBecause);
    }

    private static void Answer(FakeRegistry upstream, string body) =>
        upstream.Knobs.Add(new FakeRule { Path = "/left-pad", Status = 200, ContentType = "application/json", Body = body });
}
