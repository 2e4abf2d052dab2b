using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Tarballs;

namespace NpmMirror.Tests.Maintenance;

/// <summary>gc and a task that needs the same bytes at the same moment: in any order of their steps, a row has its bytes.</summary>
public sealed class BlobDisposalTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A task that stores or takes over bytes while gc checks them keeps them",
        With =
        [
            nameof(Bytes_stored_anew_while_gc_looks_stay_for_their_coming_row),
            nameof(A_task_that_takes_over_bytes_just_collected_fetches_them),
            nameof(In_a_crowd_of_both_no_row_is_ever_without_its_bytes),
        ],
        Red = "`BlobDisposal` does not look for rows a second time: the first was red; it does not look at the age of what it took: the second; `AdoptAsync` does not look whether the bytes are still in sight: the third")]
    [Theory]
    [InlineData(1, true)]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public async Task A_row_written_while_gc_looks_keeps_its_bytes(int look, bool isBefore)
    {
        // The first look is before the blob is taken out of sight, the second after.
        MaintenanceBench? bench = null;
        TarballRow? row = null;
        var looks = 0;
        await using var owned = bench = await MaintenanceBench.StartAsync(wrapStore: store => HookedStore.Over(store, async (method, before) =>
        {
            looks += method == nameof(ITarballTable.IsReferencedAsync) && before ? 1 : 0;
            if (method == nameof(ITarballTable.IsReferencedAsync) && before == isBefore && looks == look && row is not null)
            {
                await store.Tarballs.PutTarballAsync(row, Cancelled);
            }
        }));
        var sha512 = await bench.PutBlobAsync("needed again"u8.ToArray());
        row = new TarballRow { Package = PackageName.Parse("a"), File = "a-1.0.0.tgz", Version = "1.0.0", State = TarballState.Held, Sha512 = sha512, SizeBytes = 12 };

        Assert.Empty((await bench.CollectAsync()).Items);
        Assert.True(looks >= look);
        Assert.True(await bench.IsStoredAsync(row));
        Assert.Empty(await bench.Blobs.ListCondemnedAsync(Cancelled).ToListAsync(Cancelled));
    }

    [Fact]
    public async Task Bytes_stored_anew_while_gc_looks_stay_for_their_coming_row()
    {
        MaintenanceBench? bench = null;
        var isStoredAnew = false;
        await using var owned = bench = await MaintenanceBench.StartAsync(wrapStore: store => HookedStore.Over(store, async (method, before) =>
        {
            if (method == nameof(ITarballTable.IsReferencedAsync) && !before && !isStoredAnew)
            {
                isStoredAnew = true;
                bench!.Rejuvenate(await bench.PutBlobAsync("fetched again"u8.ToArray()));
            }
        }));
        var sha512 = await bench.PutBlobAsync("fetched again"u8.ToArray());
        Assert.Empty((await bench.CollectAsync()).Items);
        Assert.True(isStoredAnew);
        Assert.True(await bench.Blobs.ExistsAsync(sha512, Cancelled));
    }

    [Fact]
    public async Task A_task_that_takes_over_bytes_just_collected_fetches_them()
    {
        MaintenanceBench? bench = null;
        TarballRow? before = null;
        await using var owned = bench = await MaintenanceBench.StartAsync(wrapStore: store => HookedStore.Over(store, async (method, isBefore) =>
        {
            // gc has looked for rows the last time, and now deletes; the row comes a moment too late.
            if (method == nameof(ITarballTable.PutTarballAsync) && isBefore && before is not null)
            {
                await (await bench!.Blobs.CondemnAsync(before.Sha512, Cancelled) is { } condemned ? condemned.DeleteAsync(Cancelled) : ValueTask.CompletedTask);
                before = null;
            }
        }));
        await bench.HoldAsync("left-pad", "1.0.0");
        var row = (await bench.RowAsync("left-pad"))!;
        Assert.True(await bench.Store.Tarballs.ForgetTarballAsync(row, Cancelled));
        before = row;

        await OpenAsync(bench, row);
        await Eventually.Async(() => bench.Tarballs.Underway == 0);
        Assert.Null(before);
        Assert.True(await bench.IsStoredAsync((await bench.RowAsync("left-pad"))!));
    }

    [Fact]
    public async Task In_a_crowd_of_both_no_row_is_ever_without_its_bytes()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("left-pad", "1.0.0");
        var row = (await bench.RowAsync("left-pad"))!;
        var collected = 0;
        for (var round = 0; round < 40; round++)
        {
            // Unreferenced, and old: the next request takes it over, or gc deletes it.
            File.SetLastWriteTimeUtc(bench.FileOf(row.Sha512), DateTime.UnixEpoch);
            Assert.True(await bench.Store.Tarballs.ForgetTarballAsync((await bench.RowAsync("left-pad"))!, Cancelled));
            await using var another = new TarballDownloads(bench.Store.Tarballs, bench.Blobs, bench.Client, bench.Options, bench.Clock, Microsoft.Extensions.Logging.Abstractions.NullLogger<TarballDownloads>.Instance);
            var gc = Task.Run(() => bench.CollectAsync(), Cancelled);
            await Task.WhenAll(gc, Task.Run(() => OpenAsync(bench, row, another), Cancelled));
            await Eventually.Async(() => another.Underway == 0);
            collected += (await gc).Items.Count;
            Assert.True(await bench.IsStoredAsync((await bench.RowAsync("left-pad"))!), $"round {round}");
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"gc was faster {collected} times of 40");
    }

    [Claim("gc that dies at any point loses nothing, and the next run finishes its work",
        With = [$"{nameof(Cli.MaintenanceCommandTests)}.{nameof(Cli.MaintenanceCommandTests.Gc_that_dies_half_way_loses_nothing_and_the_next_one_ends_it)}"],
        Red = "leftovers are deleted without looking for rows: the first was red")]
    [Fact]
    public async Task Blobs_condemned_before_a_crash_come_back_if_needed_and_go_if_not()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("left-pad", "1.0.0");
        var row = (await bench.RowAsync("left-pad"))!;
        var garbage = await bench.PutBlobAsync("nobody's"u8.ToArray());
        await bench.Blobs.CondemnAsync(row.Sha512, Cancelled);
        await bench.Blobs.CondemnAsync(garbage, Cancelled);

        await bench.CollectAsync();
        Assert.True(await bench.IsStoredAsync(row));
        Assert.False(await bench.Blobs.ExistsAsync(garbage, Cancelled));
        Assert.Empty(await bench.Blobs.ListCondemnedAsync(Cancelled).ToListAsync(Cancelled));
    }

    private static async Task OpenAsync(MaintenanceBench bench, TarballRow row, TarballDownloads? downloads = null)
    {
        var promise = new TarballPromise("sha512-" + Convert.ToBase64String(row.Sha512.Bytes), null);
        var opened = await (downloads ?? bench.Tarballs).OpenAsync(row.Package, new VersionEntry(row.Version, default, default, default, 0, null), row.UpstreamUrl!, promise, Cancelled);
        await Assert.IsType<TarballResult.Opened>(opened).Reading.DisposeAsync();
    }
}
