using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Following;

public sealed class FeedStartTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A trail belongs to one feed",
        Red = "the trail stays when the feed is another one")]
    [Theory]
    [InlineData(null, "the way")]
    [InlineData("another life", null)]
    public async Task A_trail_belongs_to_one_feed(string? databaseId, string? kept)
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { LastSeq = "0" });
        var feed = new LiveChangeFeed(bench.Client, bench.Upstream.FeedUrl, new FeedOptions());
        await StartAsync(bench, feed);
        await bench.Store.Notes.SetNoteAsync(MirrorCursors.Trail, "the way", Token);
        bench.Upstream.Knobs.DatabaseId = databaseId ?? bench.Upstream.Knobs.DatabaseId;
        await StartAsync(bench, feed);
        Assert.Equal(kept, await bench.Store.Notes.FindNoteAsync(MirrorCursors.Trail, Token));
    }

    [Fact]
    public async Task A_package_that_appears_after_the_list_is_told_by_the_feed()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, isClockReal: true);
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        var feed = new GrowingFeed(new LiveChangeFeed(bench.Client, bench.Upstream.FeedUrl, new FeedOptions()), () => bench.Upstream.Publish(new FakePackage("late").Version("1.0.0")));
        await using var mirror = new RegistryMirror(bench.Store, bench.Client, bench.Known, bench.Queue, bench.News, new PackageScope(bench.Options), _ => Task.FromResult<IChangeFeed?>(feed), bench.Options, TimeProvider.System, NullLoggerFactory.Instance);
        await mirror.StartAsync(Token);
        await Eventually.Async(async () => await bench.RowAsync("a") is not null && await bench.RowAsync("late") is not null);
    }

    private static async Task StartAsync(MirrorBench bench, IChangeFeed feed)
    {
        Sequence? given = bench.Options.LastSeq is { } text ? new Sequence(text) : null;
        var start = await new FeedStart(bench.Store, bench.Known).FindAsync(feed, isReset: false, given, Token);
        await start.NoteAsync(bench.Store, feed, bench.Known.Identity.ToString(), isGiven: given is not null, Token);
    }

    /// <summary>A feed to which something is added when its list has just been read.</summary>
    private sealed class GrowingFeed(IChangeFeed feed, Action grow) : IChangeFeed
    {
        public string Location => feed.Location;

        public TimeSpan IdleDelay => feed.IdleDelay;

        public Task<FeedInfo> GetInfoAsync(CancellationToken cancellationToken) => feed.GetInfoAsync(cancellationToken);

        public IAsyncEnumerable<ChangesPage> ReadAsync(Sequence since, Action? onAccepted, CancellationToken cancellationToken) => feed.ReadAsync(since, onAccepted, cancellationToken);

        public async IAsyncEnumerable<ListedPackage> ListAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await foreach (var package in feed.ListAllAsync(cancellationToken))
            {
                yield return package;
            }

            grow();
        }
    }
}
