using NpmMirror.Maintenance;
using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>What a purge of removed versions tells, and what it leaves alone.</summary>
public sealed class PurgeTests
{
    private const string Purged = "part/part-1.0.0.tgz";

    private static readonly PackageName Name = PackageName.Parse("part");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A tarball that is in use all the time is not told as purged: the collection says to run it again, and the next one purges it",
        Red = "it is told as purged, and never looked at again (as before)")]
    [Fact]
    public async Task A_tarball_that_is_served_all_the_time_is_purged_by_the_next_run()
    {
        MaintenanceBench? bench = null;
        var (isServed, served) = (true, 0);
        await using var owned = bench = await StartAsync(store => HookedStore.Over(store, async (method, before) =>
        {
            if (method == nameof(ITarballTable.ForgetTarballAsync) && before && isServed)
            {
                bench!.Clock.Advance(TimeSpan.FromSeconds(1));
                await bench.Store.Tarballs.StampServedAsync([new TarballServed(Name, "part-1.0.0.tgz", bench.Clock.GetUtcNow())], Cancelled);
                served++;
            }
        }));
        await HoldAndUnpublishAsync(bench);
        var told = new List<CollectedItem>();
        var failure = await Assert.ThrowsAsync<MirrorException>(() => bench.CollectAsync(told: told.Add));
        Assert.Equal(("part/part-1.0.0.tgz was written by other processes 5 times in a row; run gc again.", true), (failure.Message, failure.IsTransient));
        Assert.Equal((0, 6), (told.Count, served));
        Assert.True(await bench.IsStoredAsync((await bench.RowAsync("part"))!));

        isServed = false;
        bench.Clock.Advance(TimeSpan.FromDays(1));
        Assert.Single((await bench.CollectAsync()).Items, item => item.Subject == Purged);
        Assert.Null(await bench.RowAsync("part"));
    }

    [Fact]
    public async Task A_tarball_that_another_process_took_meanwhile_is_no_trouble()
    {
        MaintenanceBench? bench = null;
        TarballRow? row = null;
        await using var owned = bench = await StartAsync(store => HookedStore.Over(store, async (method, before) =>
        {
            if (method == nameof(ITarballTable.ForgetTarballAsync) && before && row is not null)
            {
                Assert.True(await store.Tarballs.ForgetTarballAsync(row, Cancelled));
            }
        }));
        await HoldAndUnpublishAsync(bench);
        row = await bench.RowAsync("part");
        Assert.Single((await bench.CollectAsync()).Items, item => item.Subject == Purged);
        Assert.False(await bench.IsStoredAsync(row!));
    }

    [Claim("gc tells no tarball as purged or evicted that was not held",
        Red = "`PastPurge` or `TarballEviction` looks at rows of every state")]
    [Fact]
    public async Task A_tarball_that_is_not_held_is_neither_purged_nor_evicted()
    {
        await using var bench = await StartAsync();
        await HoldAndUnpublishAsync(bench);
        var row = (await bench.RowAsync("part", "2.0.0"))!;
        foreach (var (file, version) in new[] { ("part-1.0.0-a.tgz", "1.0.0"), ("part-2.0.0-a.tgz", "2.0.0") })
        {
            Assert.True(await bench.Store.Tarballs.PutTarballAsync(row with { File = file, Version = version, State = TarballState.Missing, Sha512 = default, SizeBytes = 0 }, Cancelled));
        }

        bench.Options.Gc.MaxBytes = 1;
        foreach (var isDryRun in new[] { true, false })
        {
            Assert.Equal([Purged, "part/part-2.0.0.tgz"], (await bench.CollectAsync(isDryRun)).Items.Where(item => item.Subject.Contains(".tgz", StringComparison.Ordinal)).Select(item => item.Subject));
        }

        Assert.Equal(2, await bench.Store.Tarballs.ListTarballsAsync(Name, Cancelled).CountAsync(Cancelled));
    }

    [Fact]
    public async Task The_last_document_of_a_removed_package_is_purged_wherever_it_lies()
    {
        await using var bench = await StartAsync();
        await bench.HoldAsync("part", "1.0.0");
        bench.Upstream.Unpublish("part");
        await bench.SyncAsync("part");
        bench.Tamper("UPDATE documents SET is_pinned = 0");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        var (told, _) = await bench.CollectAsync(isDryRun: true);
        Assert.Contains(told, item => item.Subject == "part" && item.SizeBytes > 100);
        Assert.Equal(told, (await bench.CollectAsync()).Items);
        Assert.Equal(DocumentCodec.Purged, (await bench.Store.Packages.ReadAsync(Name, Cancelled))!.Document.Codec);
    }

    private static Task<MaintenanceBench> StartAsync(Func<IMetadataStore, IMetadataStore>? wrapStore = null) =>
        MaintenanceBench.StartAsync(options => options.Removed.Unpublished = RemovedMode.Purge, wrapStore);

    private static async Task HoldAndUnpublishAsync(MaintenanceBench bench)
    {
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        bench.Clock.Advance(TimeSpan.FromDays(2));
    }
}
