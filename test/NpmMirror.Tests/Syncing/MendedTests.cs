using NpmMirror.Notes;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Syncing;

/// <summary>The packages that <c>status</c> lists as failing or given up, after they were brought up to date outside the queue.</summary>
public sealed class MendedTests
{
    private static readonly PackageName Pad = PackageName.Parse("left-pad");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A failure that was mended outside the queue is none for `status` any more, but an announced revision is still waited for",
        With = [nameof(A_given_up_package_that_a_client_fetches_is_forgotten), nameof(A_revision_that_the_feed_spoke_of_is_still_waited_for)],
        Red = "`SyncQueue.NoteMendedAsync` notes nothing, or forgets nothing that was given up: the second was red; it ends also the wait for a later revision: the last")]
    [Fact]
    public async Task A_failed_package_that_a_client_fetches_is_no_failure_any_more()
    {
        await using var bench = await FailingAsync(bench => bench.Item("left-pad"));
        await bench.ReadThrough.FindAsync(Pad, Token);
        await Eventually.Async(async () => await bench.Store.Queue.FindQueuedAsync(Pad, Token) is null);
    }

    [Fact]
    public async Task A_given_up_package_that_a_client_fetches_is_forgotten()
    {
        await using var bench = await FailingAsync(bench => bench.Item("left-pad") with { QueuedAt = bench.Clock.GetUtcNow() - TimeSpan.FromDays(2), Attempts = RemovalCheck.DoubtTriesMin });
        Assert.Equal("left-pad", Assert.Single(await GivenUpPackages.ReadAsync(bench.Store, Token)).Package);
        await bench.ReadThrough.FindAsync(Pad, Token);
        await Eventually.Async(async () => (await GivenUpPackages.ReadAsync(bench.Store, Token)).Count == 0);
    }

    [Theory]
    [InlineData(true, null)]
    [InlineData(false, "1-a")]
    public async Task After_a_failure_a_deletion_is_awaited_and_an_older_revision_is_not(bool isDeletedRow, string? wanted)
    {
        await using var bench = await FailingAsync(bench => bench.Item("left-pad", wanted) with { IsDeletedRow = isDeletedRow });
        await bench.Queue.NoteMendedAsync(Pad, await bench.SyncAsync("left-pad"), Token);
        Assert.Equal(isDeletedRow, await bench.Store.Queue.FindQueuedAsync(Pad, Token) is not null);
    }

    [Fact]
    public async Task A_revision_that_the_feed_spoke_of_is_still_waited_for()
    {
        await using var bench = await FailingAsync(bench => bench.Item("left-pad", "99-later"));
        await bench.ReadThrough.FindAsync(Pad, Token);
        await Eventually.Async(() => bench.Upstream.Requests.CountOf("/left-pad") >= 3);
        Assert.Equal("99-later", (await bench.Store.Queue.FindQueuedAsync(Pad, Token))?.WantedRev);
    }

    /// <summary>A package that is held and old, whose last try in the queue failed; the upstream is well again.</summary>
    private static async Task<MirrorBench> FailingAsync(Func<MirrorBench, QueueItem> item)
    {
        var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.SyncAsync("left-pad");
        bench.Upstream.PutDocument("left-pad", "not json"u8.ToArray());
        await bench.Queue.EnqueueAsync([item(bench)], null, Token);
        Assert.NotNull((await bench.Queue.TryNowAsync(Pad, Token))?.Error);
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0").Version("1.1.0"));
        bench.Clock.Advance(TimeSpan.FromHours(1));
        return bench;
    }
}
