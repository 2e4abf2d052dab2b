using NpmMirror.Mirroring;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Mirroring;

public sealed class FeedStartTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null, "the way")]
    [InlineData("another life", null)]
    public async Task What_is_known_of_the_way_belongs_to_one_feed(string? databaseId, string? kept)
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { LastSeq = "0" });
        var feed = new LiveChangeFeed(bench.Client, bench.Upstream.FeedUrl, new FeedOptions());
        await StartAsync(bench, feed);
        await bench.Store.SetCursorAsync(MirrorCursors.Trail, "the way", Token);
        bench.Upstream.Knobs.DatabaseId = databaseId ?? bench.Upstream.Knobs.DatabaseId;
        await StartAsync(bench, feed);
        Assert.Equal(kept, await bench.Store.GetCursorAsync(MirrorCursors.Trail, Token));
    }

    private static async Task StartAsync(MirrorBench bench, IChangeFeed feed)
    {
        var start = await new FeedStart(bench.Store, bench.Client, bench.Options).FindAsync(feed, isReset: false, Token);
        await start.NoteAsync(bench.Store, feed, bench.Client.Identity, Token);
    }
}
