using System.Text;
using NpmMirror.Feeds;
using NpmMirror.Tests.Feeds;

namespace NpmMirror.Tests.Upstream;

/// <summary>Followers of the older tools hung for good, because nothing they asked for had a time-out.</summary>
public sealed class SilentUpstreamTests
{
    private const string Begun = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{";

    [Claim("Compatibility E, time-outs: an upstream that falls silent before or within an answer is given up, for every kind of request: packument, info, page of the feed, list; a feed that waits, too",
        With =
        [
            $"{nameof(ChangeFeedTests)}.{nameof(ChangeFeedTests.An_upstream_that_falls_silent_is_given_up)}",
            $"{nameof(Tarballs.TarballDownloadsTests)}.{nameof(Tarballs.TarballDownloadsTests.A_download_that_stalls_is_given_up)}",
        ],
        Red = "`UpstreamTransport` waits for headers, or `UpstreamBody` for bytes, for ever: the first was red; a longpoll may be silent for thousands of heartbeats: the second; `UpstreamBody` waits for ever: the last")]
    [Theory]
    [InlineData("packument", "")]
    [InlineData("packument", Begun)]
    [InlineData("info", "")]
    [InlineData("info", Begun)]
    [InlineData("page", "")]
    [InlineData("page", Begun)]
    [InlineData("list", "")]
    [InlineData("list", Begun)]
    [InlineData("removed", "")]
    public async Task A_silent_upstream_is_given_up_for_every_kind_of_request(string what, string sent)
    {
        var clock = new FakeClock();
        await using var silent = new LoopbackPeer(async (_, stream, cancellationToken) =>
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes(sent), cancellationToken);
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
        });
        using var client = RegistryClientTests.Client(silent, time: clock);
        var feed = new LiveChangeFeed(client, silent.Url, new FeedOptions());
        var token = TestContext.Current.CancellationToken;
        Task asking = what switch
        {
            "packument" => client.GetPackumentAsync(PackageName.Parse("ms"), default, isCacheBusted: false, token),
            "info" => feed.GetInfoAsync(token),
            "page" => feed.ReadAsync(Sequence.Zero, null, token).FirstOrDefaultAsync(token).AsTask(),
            "list" => feed.ListAllAsync(token).FirstOrDefaultAsync(token).AsTask(),
            _ => feed.ListRemovedAsync(token).FirstOrDefaultAsync(token).AsTask(),
        };
        await Eventually.Async(() => !silent.Requests.IsEmpty);
        await Eventually.Async(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(5));
            return asking.IsCompleted;
        });
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => asking)).IsTransient);
    }
}
