using NpmMirror.Maintenance;
using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

public sealed class GarbageCollectorTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("gc deletes only unneeded data, after the grace period, and tells it first",
        With =
        [
            nameof(Bytes_that_two_packages_share_stay_until_both_are_gone),
            $"{nameof(Cli.MaintenanceCommandTests)}.{nameof(Cli.MaintenanceCommandTests.Gc_tells_first_and_deletes_when_told)}",
            $"{nameof(Cli.MaintenanceCommandTests)}.{nameof(Cli.MaintenanceCommandTests.Gc_shows_fifty_items_and_tells_how_many_more_there_are)}",
            $"{nameof(Cli.MaintenanceCommandTests)}.{nameof(Cli.MaintenanceCommandTests.Verify_says_that_it_goes_on_with_a_run_that_was_cut_short)}",
        ],
        Red = "the listing does not look at the age: the first was red")]
    [Fact]
    public async Task Deletes_only_unneeded_data_and_tells_it_first()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("left-pad", "1.0.0");
        var garbage = await bench.PutBlobAsync("nobody's"u8.ToArray());
        var young = await bench.PutBlobAsync("about to be somebody's"u8.ToArray());
        bench.Rejuvenate(young);

        var (items, dry) = await bench.CollectAsync(isDryRun: true);
        Assert.Equal([new CollectedItem(GarbageKind.Unreferenced, garbage.Hex, 8)], items);
        Assert.True(await bench.Blobs.ExistsAsync(garbage, Cancelled));

        var (taken, collected) = await bench.CollectAsync();
        Assert.Equal(items, taken);
        Assert.Equal(dry.FreedBytes, collected.FreedBytes);
        Assert.False(await bench.Blobs.ExistsAsync(garbage, Cancelled));
        Assert.True(await bench.Blobs.ExistsAsync(young, Cancelled));
        Assert.True(await bench.IsStoredAsync((await bench.RowAsync("left-pad"))!));
        Assert.Empty((await bench.CollectAsync()).Items);

        bench.Clock.Advance(TimeSpan.FromHours(25));
        Assert.Equal(young.Hex, Assert.Single((await bench.CollectAsync()).Items).Subject);
    }

    [Fact]
    public async Task Bytes_that_two_packages_share_stay_until_both_are_gone()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("left-pad", "1.0.0");
        var row = (await bench.RowAsync("left-pad"))!;
        await bench.Store.Tarballs.PutTarballAsync(row with { Package = PackageName.Parse("twin") }, Cancelled);
        Assert.True(await bench.Store.Tarballs.ForgetTarballAsync(row, Cancelled));
        Assert.Empty((await bench.CollectAsync()).Items);
        Assert.True(await bench.IsStoredAsync(row));
    }

    [Claim("The disk does not fill: over their budget tarballs served longest ago are evicted first, those in use and those that could not be fetched again stay, an evicted one is fetched again (never-again 17)",
        With =
        [
            nameof(A_tarball_that_is_served_while_it_is_chosen_stays),
            nameof(A_tarball_that_the_upstream_could_not_send_again_is_never_evicted),
            $"{nameof(Cli.MaintenanceCommandTests)}.{nameof(Cli.MaintenanceCommandTests.A_tarball_evicted_beside_a_running_serve_is_fetched_again)}",
        ],
        Red = "`ForgetTarballAsync` of SQLite does not compare the row: the second was red; `IsReplaceableAsync` does not look into the index: the third")]
    [Fact]
    public async Task Over_the_budget_those_served_longest_ago_go_first()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        foreach (var name in (string[])["never", "long-ago", "lately", "now"])
        {
            await bench.HoldAsync(name, "1.0.0");
        }

        bench.Clock.Advance(TimeSpan.FromDays(9));
        await ServeAsync(bench, "long-ago", TimeSpan.FromDays(8));
        await ServeAsync(bench, "lately", TimeSpan.FromHours(3));
        await ServeAsync(bench, "now", TimeSpan.FromMinutes(1));
        var size = (await bench.RowAsync("never"))!.SizeBytes;
        bench.Options.Gc.MaxBytes = (await bench.Store.CountAsync(Cancelled)).TarballBytes - size - 1;

        var (told, _) = await bench.CollectAsync(isDryRun: true);
        var (items, collected) = await bench.CollectAsync();
        Assert.Equal(told, items);
        Assert.Equal([(GarbageKind.Evicted, "long-ago/long-ago-1.0.0.tgz"), (GarbageKind.Evicted, "never/never-1.0.0.tgz")], items.Select(item => (item.Kind, item.Subject)).Order());
        Assert.Null(await bench.RowAsync("never"));
        Assert.Equal(0, collected.OverBudgetBytes);
        Assert.Equal(collected.HeldBytes, (await bench.Blobs.ListAsync(Cancelled).ToListAsync(Cancelled)).Sum(blob => blob.SizeBytes));

        // Even far over it, tarballs in use stay.
        bench.Options.Gc.MaxBytes = 1;
        await bench.CollectAsync();
        Assert.NotNull(await bench.RowAsync("now"));
        Assert.Null(await bench.RowAsync("lately"));
    }

    [Theory]
    [InlineData(24)]
    [InlineData(25)]
    [InlineData(26)]
    public async Task An_hour_is_enough_to_tell_which_was_served_longest_ago(int hoursAgo)
    {
        await using var bench = await MaintenanceBench.StartAsync();
        // By name the later one comes first.
        await bench.HoldAsync("a-later", "1.0.0");
        await bench.HoldAsync("b-earlier", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        await ServeAsync(bench, "a-later", TimeSpan.FromHours(hoursAgo));
        await ServeAsync(bench, "b-earlier", TimeSpan.FromHours(hoursAgo + 1));
        bench.Options.Gc.MaxBytes = (await bench.Store.CountAsync(Cancelled)).TarballBytes - 1;
        Assert.Equal("b-earlier/b-earlier-1.0.0.tgz", Assert.Single((await bench.CollectAsync()).Items).Subject);
    }

    [Fact]
    public async Task A_tarball_verified_just_now_is_not_evicted()
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Gc.MaxBytes = 1);
        await bench.HoldAsync("just-stored", "1.0.0");
        Assert.Empty((await bench.CollectAsync()).Items);
        bench.Clock.Advance(TarballEviction.SettledAfter - TimeSpan.FromMilliseconds(1));
        Assert.Empty((await bench.CollectAsync()).Items);
        bench.Clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal("just-stored/just-stored-1.0.0.tgz", Assert.Single((await bench.CollectAsync()).Items).Subject);
    }

    [Fact]
    public async Task A_blob_that_must_stay_does_not_keep_others()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("served", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromDays(2));
        await ServeAsync(bench, "served", TimeSpan.FromHours(3));
        // Never served, so the first to go by age, and stored just now.
        await bench.HoldAsync("just-stored", "1.0.0");
        bench.Options.Gc.MaxBytes = (await bench.Store.CountAsync(Cancelled)).TarballBytes - 1;
        var (items, collected) = await bench.CollectAsync();
        Assert.Equal(("served/served-1.0.0.tgz", 0), (Assert.Single(items).Subject, collected.OverBudgetBytes));
    }

    [Fact]
    public async Task Nothing_is_evicted_that_would_not_be_fetched_again()
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Gc.MaxBytes = 1);
        await bench.HoldAsync("whole", "1.0.0");
        await bench.HoldAsync("doubted", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromDays(1));
        Assert.True(await bench.Store.Tarballs.PutTarballAsync((await bench.RowAsync("doubted"))! with { Problem = "The upstream sends other bytes." }, Cancelled));
        bench.Options.Tarballs = TarballMode.Never;
        var (items, collected) = await bench.CollectAsync();
        Assert.Empty(items);
        Assert.Equal(collected.HeldBytes, collected.IrreplaceableBytes);
        bench.Options.Tarballs = TarballMode.Eager;
        Assert.Equal("whole/whole-1.0.0.tgz", Assert.Single((await bench.CollectAsync()).Items).Subject);
    }

    [Claim("The budget of tarballs is kept to the byte, and without one none is evicted",
        With =
        [
            nameof(An_hour_is_enough_to_tell_which_was_served_longest_ago),
            nameof(A_tarball_verified_just_now_is_not_evicted),
            nameof(Nothing_is_evicted_that_would_not_be_fetched_again),
        ],
        Red = "`wanted < 0` or `wanted <= 1` in `TarballEviction`; hours of 7,201 seconds; what was verified just now is settled; a tarball with a problem, or any with `tarballs=never`, is replaceable")]
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(-1, 0)]
    [InlineData(null, 0)]
    public async Task The_budget_is_kept_to_the_byte_and_without_one_nothing_goes(int? bytesOver, int evicted)
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("left-pad", "1.0.0");
        await bench.HoldAsync("ms", "1.0.0");
        await bench.HoldAsync("gone", "1.0.0");
        bench.Upstream.Unpublish("gone");
        await bench.SyncAsync("gone");
        bench.Clock.Advance(TimeSpan.FromDays(1));
        bench.Options.Gc.MaxBytes = bytesOver is { } over ? (await bench.Store.CountAsync(Cancelled)).TarballBytes - over : 0;

        var (items, collected) = await bench.CollectAsync();
        Assert.Equal((evicted, 0), (items.Count(item => item.Kind == GarbageKind.Evicted), collected.OverBudgetBytes));
        Assert.Equal(evicted > 0, collected.IrreplaceableBytes > 0);
    }

    [Fact]
    public async Task A_tarball_that_the_upstream_could_not_send_again_is_never_evicted()
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Gc.MaxBytes = 1);
        await bench.HoldAsync("whole", "1.0.0");
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.Unpublish("whole");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("whole");
        await bench.SyncAsync("part");
        bench.Clock.Advance(TimeSpan.FromDays(1));

        var (items, collected) = await bench.CollectAsync();
        Assert.Equal("part/part-2.0.0.tgz", Assert.Single(items).Subject);
        Assert.Equal(collected.IrreplaceableBytes, collected.HeldBytes);
        Assert.Equal(collected.HeldBytes - 1, collected.OverBudgetBytes);
        Assert.True(await bench.IsStoredAsync((await bench.RowAsync("whole"))!));
    }

    [Fact]
    public async Task A_tarball_that_is_served_while_it_is_chosen_stays()
    {
        MaintenanceBench? bench = null;
        var chosen = false;
        await using var owned = bench = await MaintenanceBench.StartAsync(options => options.Gc.MaxBytes = 1, store => HookedStore.Over(store, async (method, before) =>
        {
            if (method == nameof(ITarballTable.ForgetTarballAsync) && before && !chosen)
            {
                chosen = true;
                await ServeAsync(bench!, "left-pad", TimeSpan.Zero);
            }
        }));
        await bench.HoldAsync("left-pad", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromDays(1));
        Assert.Empty((await bench.CollectAsync()).Items);
        Assert.True(chosen);
        Assert.True(await bench.IsStoredAsync((await bench.RowAsync("left-pad"))!));
    }

    [Fact]
    public async Task Forgets_records_of_fetches_after_their_retention()
    {
        await using var bench = await MaintenanceBench.StartAsync(options => options.Gc.AccessRetention = TimeSpan.FromDays(30));
        var today = DateOnly.FromDateTime(bench.Clock.GetUtcNow().UtcDateTime);
        var name = PackageName.Parse("a");
        await bench.Store.Tarballs.RecordAccessAsync([new TarballAccess(name, "a.tgz", "old", today.AddDays(-31), 1), new TarballAccess(name, "a.tgz", "new", today.AddDays(-30), 1)], Cancelled);
        Assert.Equal(0, (await bench.CollectAsync(isDryRun: true)).Collected.ForgottenAccesses);
        Assert.Equal(1, (await bench.CollectAsync()).Collected.ForgottenAccesses);
        Assert.Equal("new", (await bench.Store.Tarballs.ListAccessAsync(name, null, Cancelled).SingleAsync(Cancelled)).Client);
    }

    [Claim("Unfinished files of dead processes are reported by number and size, and deleted",
        Red = "sizes are subtracted; a dry run deletes")]
    [Fact]
    public async Task Leftovers_of_dead_processes_are_counted_and_deleted()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("left-pad", "1.0.0");
        bench.LeaveUnfinished("dead-1.part", 3);
        bench.LeaveUnfinished("dead-2.part", 40);
        var (told, _) = await bench.CollectAsync(isDryRun: true);
        Assert.Equal([new CollectedItem(GarbageKind.Unfinished, "2 files", 43)], told);
        Assert.Equal(told, (await bench.CollectAsync()).Items);
        Assert.Empty((await bench.CollectAsync()).Items);
    }

    [Fact]
    public async Task One_at_a_time_but_anyone_may_look()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        Assert.True(await bench.Store.Leases.TryHoldLeaseAsync("gc", "another", TimeSpan.FromMinutes(1), Cancelled));
        var refused = await Assert.ThrowsAsync<MirrorException>(() => bench.CollectAsync());
        Assert.Contains("Another npm-mirror gc works on", refused.Message, StringComparison.Ordinal);
        await bench.CollectAsync(isDryRun: true);
    }

    [Claim("Compatibility E, a collection that fails, and a verification that is cut short, lock nothing (never-again 19)",
        With = [$"{nameof(VerifierTests)}.{nameof(VerifierTests.Goes_on_where_it_was_cut_short_and_repeats_its_findings)}"],
        Red = "`MaintenanceLease` is not released: both were red")]
    [Fact]
    public async Task One_that_fails_locks_nothing()
    {
        var isFailing = false;
        await using var bench = await MaintenanceBench.StartAsync(wrapStore: store => HookedStore.Over(store, (_, isBefore) =>
            isBefore && isFailing ? throw new MirrorException(MirrorFault.StoreUnavailable, "The disk is full.", isTransient: true) : ValueTask.CompletedTask));
        await bench.HoldAsync("a", "1.0.0");
        await bench.PutBlobAsync("nobody's"u8.ToArray());
        isFailing = true;
        await Assert.ThrowsAsync<MirrorException>(() => bench.CollectAsync());
        isFailing = false;

        // New tarballs and the next collection wait for nothing.
        await bench.HoldAsync("b", "1.0.0");
        Assert.Single((await bench.CollectAsync()).Items);
    }

    private static ValueTask ServeAsync(MaintenanceBench bench, string name, TimeSpan ago) =>
        bench.Store.Tarballs.StampServedAsync([new TarballServed(PackageName.Parse(name), $"{name}-1.0.0.tgz", bench.Clock.GetUtcNow() - ago)], Cancelled);
}
