using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Maintenance;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Syncing;

/// <summary>Two processes write the same package: the one whose commit comes second has written nothing, asks again and decides again.</summary>
public sealed class PackageSyncRaceTests
{
    private const int TriesMax = 5;

    private static readonly PackageName Name = PackageName.Parse("left-pad");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A commit after one of another process writes and tells nothing: the package is asked for and decided again, five times at most",
        With = [nameof(One_that_comes_second_each_time_ends_after_five_tries), nameof(The_last_write_of_another_stays_and_the_fifth_try_may_write)],
        Red = "a lost commit goes on as if it was written")]
    [Theory]
    [InlineData("first sight")]
    [InlineData("a change")]
    [InlineData("the same bytes of another database")]
    [InlineData("a deletion")]
    [InlineData("unpublished")]
    [InlineData("back again")]
    public async Task The_second_to_commit_asks_again_and_finds_nothing_left_to_write(string what)
    {
        await using var bench = await StartAsync();
        var item = await PrepareAsync(bench, what);
        var commits = 0;
        using var second = Second(bench, async isBefore =>
        {
            if (isBefore && ++commits == 1)
            {
                await bench.SyncAsync("left-pad", item);
            }
        });
        var news = 0;
        second.News.Changed += (_, _) => news++;
        var requests = bench.Upstream.Requests.CountOf("/left-pad");

        Assert.IsType<SyncResult.Unchanged>(await second.SyncAsync(Name, item, Token));
        Assert.Equal((1, 0), (commits, news));
        Assert.Equal(requests + 3, bench.Upstream.Requests.CountOf("/left-pad"));
        var events = await bench.EventsAsync();
        Assert.Equal(events.Count, events.DistinctBy(told => told.ToString()).Count());
    }

    [Theory]
    [InlineData("first sight")]
    [InlineData("a change")]
    [InlineData("the same bytes of another database")]
    [InlineData("a deletion")]
    [InlineData("unpublished")]
    [InlineData("back again")]
    public async Task One_that_comes_second_each_time_ends_after_five_tries(string what)
    {
        await using var bench = await StartAsync();
        var item = await PrepareAsync(bench, what);
        var held = await bench.RowAsync("left-pad");
        var commits = 0;
        using var second = Second(bench, async isBefore =>
        {
            if (isBefore)
            {
                commits++;
                await WriteTheSameAsync(bench);
            }
        });
        var requests = bench.Upstream.Requests.CountOf("/left-pad");

        var refused = await Assert.ThrowsAsync<MirrorException>(() => second.SyncAsync(Name, item, Token));
        Assert.Equal((MirrorFault.StoreUnavailable, true), (refused.Fault, refused.IsTransient));
        Assert.Contains("left-pad was written by other processes 5 times in a row", refused.Message, StringComparison.Ordinal);
        Assert.Equal((TriesMax, requests + TriesMax), (commits, bench.Upstream.Requests.CountOf("/left-pad")));
        Assert.Equal(held?.Facts.Removal, (await bench.RowAsync("left-pad"))!.Facts.Removal);
    }

    [Fact]
    public async Task The_last_write_of_another_stays_and_the_fifth_try_may_write()
    {
        await using var bench = await StartAsync();
        await bench.SyncAsync("left-pad");
        bench.Upstream.PublishVersion("left-pad", "2.0.0");
        var commits = 0;
        using var second = Second(bench, async isBefore =>
        {
            if (isBefore && ++commits < TriesMax)
            {
                await WriteTheSameAsync(bench);
            }
        });
        var stored = Assert.IsType<SyncResult.Stored>(await second.SyncAsync(Name, null, Token));
        Assert.Equal((TriesMax, 1L + TriesMax), (commits, stored.Row.Generation));
        Assert.Equal(bench.Upstream.Packument("left-pad"), await bench.DocumentAsync("left-pad"));
    }

    /// <summary>Brings a bench to where there is this to write; returns the item that it is written for.</summary>
    private static async Task<QueueItem?> PrepareAsync(MirrorBench bench, string what)
    {
        if (what == "the same bytes of another database")
        {
            bench.Known.Note(UpstreamIdentity.Parse(bench.Known.Identity + "#first"));
        }

        if (what != "first sight")
        {
            await bench.SyncAsync("left-pad");
        }

        switch (what)
        {
            case "a change":
                bench.Upstream.PublishVersion("left-pad", "2.0.0");
                break;
            case "the same bytes of another database":
                bench.Known.Note(UpstreamIdentity.Parse(bench.Known.Identity.ToString().Replace("#first", "#second", StringComparison.Ordinal)));
                break;
            case "a deletion":
                bench.Upstream.Delete("left-pad");
                return bench.Item("left-pad") with { IsDeletedRow = true };
            case "unpublished":
                bench.Upstream.Unpublish("left-pad");
                break;
            case "back again":
                bench.Upstream.Unpublish("left-pad");
                await bench.SyncAsync("left-pad");
                bench.Upstream.Publish(new FakePackage("left-pad").Version("3.0.0"));
                break;
        }

        return null;
    }

    private static async Task<MirrorBench> StartAsync()
    {
        var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        return bench;
    }

    /// <summary>Another process over the bench's store; the hook is called before and after each of its commits.</summary>
    private static PackageSync Second(MirrorBench bench, Func<bool, ValueTask> atCommit)
    {
        var store = HookedStore.Over(bench.Store, (_, isBefore) => atCommit(isBefore), nameof(IPackageTable.CommitAsync));
        return new PackageSync(store, bench.Client, bench.Known, bench.Tarballs, new PackageNews(), bench.Options, bench.Clock, NullLogger<PackageSync>.Instance);
    }

    /// <summary>Writes the row as it is, a tombstone where there is none: only its generation tells.</summary>
    private static async Task WriteTheSameAsync(MirrorBench bench)
    {
        var row = await bench.RowAsync("left-pad");
        var document = DocumentCodecs.Encode("""{"name":"left-pad","versions":{}}"""u8.ToArray());
        var commit = new PackageCommit
        {
            Name = Name,
            ExpectedGeneration = row?.Generation ?? 0,
            Facts = row?.Facts ?? new PackageFacts { FirstSeenAt = bench.Clock.GetUtcNow(), StoredAt = bench.Clock.GetUtcNow() },
            Document = row is null ? document : null,
            Index = row is null ? NpmMirror.Packuments.PackumentReader.Read("""{"name":"left-pad","versions":{}}"""u8.ToArray(), Name).Index.ToBytes() : default,
            Events = [],
        };
        Assert.True((await bench.Store.Packages.CommitAsync(commit, Token)).IsCommitted);
    }
}
