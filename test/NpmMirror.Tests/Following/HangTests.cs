using NpmMirror.Feeds;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

public sealed class HangTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A feed, a list or a packument that hangs, falls silent or stalls is given up and asked again (never-again 11)",
        With =
        [
            $"{nameof(Feeds.ChangeFeedTests)}.{nameof(Feeds.ChangeFeedTests.An_upstream_that_falls_silent_is_given_up)}",
            $"{nameof(Upstream.RegistryClientTests)}.{nameof(Upstream.RegistryClientTests.An_upstream_that_never_answers_times_out)}",
            $"{nameof(Upstream.RegistryClientTests)}.{nameof(Upstream.RegistryClientTests.A_body_that_stalls_times_out)}",
        ],
        Red = "`UpstreamTransport` waits for headers for ever: the first was red, the third did not end; `UpstreamBody` waits for bytes for ever: the last was red; a longpoll may be silent for thousands of heartbeats: the second")]
    [Theory]
    [InlineData("/registry/")]
    [InlineData("/registry/_all_docs")]
    [InlineData("/registry/_changes")]
    [InlineData("/p1")]
    public async Task A_hanging_answer_holds_a_mirror_up_for_its_time_out_at_most(string path)
    {
        var clock = new FakeClock();
        using var folder = new TempFolder();
        await using var upstream = await FakeRegistry.StartAsync(time: clock, cancellationToken: Token);
        await using var store = new MemoryStore(clock);
        upstream.Publish(new FakePackage("p1").Version("1.0.0"));
        upstream.Publish(new FakePackage("p2").Version("1.0.0"));
        var hanging = upstream.Knobs.Add(new FakeRule { Path = path, Hangs = true, TimesMax = 2 });
        var options = new MirrorOptions { Metadata = MetadataMode.All, Data = folder.Path };
        var feed = new FeedOptions { Mode = FeedMode.Poll, Timeout = TimeSpan.FromMinutes(20) };
        await using var mirror = new SimulatedMirror(upstream, store, options, feed, long.MaxValue, clock, new TailLog(clock));
        await mirror.StartAsync();
        await PassUntilAsync(clock, async () => (await store.CountAsync(Token)).Packages == 2);
        upstream.Publish(new FakePackage("p3").Version("1.0.0"));
        await PassUntilAsync(clock, async () => (await store.CountAsync(Token)).Packages == 3);
        Assert.Equal(2, hanging.HitCount);
    }

    private static Task PassUntilAsync(FakeClock clock, Func<Task<bool>> condition) => Eventually.Async(async () =>
    {
        clock.Advance(TimeSpan.FromSeconds(20));
        return await condition();
    });
}
