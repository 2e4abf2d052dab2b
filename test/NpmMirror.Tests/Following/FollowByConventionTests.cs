using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Following;

/// <summary>A mirror of a registry whose feed is on the host that the public registry's convention names.</summary>
public sealed class FollowByConventionTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Follows_out_of_the_box_and_looks_for_the_feed_until_it_answers_again()
    {
        await using var bench = await MirrorBench.StartAsync(isClockReal: true, host: "registry.example.org");
        bench.Upstream.Knobs.Feed = FakeFeedDialect.NpmPaged;
        bench.Upstream.Knobs.Fail("/_changes", 404);
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        await bench.SyncAsync("a");
        await using (var first = bench.Mirror("auto"))
        {
            await first.StartAsync(Token);
            await Eventually.Async(() => first.Monitor is { IsConnected: true });
            bench.Upstream.PublishVersion("a", "2.0.0");
            await Eventually.Async(async () => (await bench.RowAsync("a"))!.Facts.Rev == bench.Upstream.Revision("a"));
            await first.StopAsync(Token);
        }

        bench.Upstream.PublishVersion("a", "3.0.0");
        var away = bench.Upstream.Knobs.Fail("/registry/*", 404);
        await using var second = bench.Mirror("auto");
        await second.StartAsync(Token);
        await Eventually.Async(() => away.HitCount >= 2);
        bench.Upstream.Knobs.Remove(away);
        await Eventually.Async(async () => (await bench.RowAsync("a"))!.Facts.Rev == bench.Upstream.Revision("a"));
    }
}
