using NpmMirror.Options;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Maintenance;

/// <summary>Which events of the log are listed as takedowns, and how much of the log is read for them.</summary>
public sealed class TakedownListTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_very_first_event_of_a_log_is_listed_when_it_is_a_takedown()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/first", Status = 404, ContentType = "application/json", Body = """{"error":"not_found","removed":{"kind":"Gone","rev":"7-x"}}""" });
        var now = bench.Clock.GetUtcNow();
        await bench.SyncAsync("first", new QueueItem { Name = PackageName.Parse("first"), Priority = QueuePriority.Change, DueAt = now, QueuedAt = now, WantedRev = "7-x", IsDeletedRow = true });
        Assert.Equal("first", Assert.Single(await ListAsync(bench, since: now)).Package.Value);
    }

    [Fact]
    public async Task Of_a_long_log_only_the_end_is_read_for_the_latest_takedowns()
    {
        var reads = 0;
        await using var bench = await MaintenanceBench.StartAsync(wrapStore: store => InterceptedStore.Over(store, call =>
        {
            if (call is { Method: nameof(ILogTable.ReadLogAsync), Arguments: [LogPosition from, ..] } && from == LogPosition.Zero)
            {
                reads++;
            }

            return call.Make();
        }));
        foreach (var name in (string[])["a", "b", "c", "d"])
        {
            await bench.HoldAsync(name, "1.0.0");
        }

        bench.Clock.Advance(TimeSpan.FromDays(1));
        await DeleteAsync(bench, "d");
        reads = 0;
        Assert.Equal("d", Assert.Single(await ListAsync(bench, since: bench.Clock.GetUtcNow())).Package.Value);
        Assert.Equal(0, reads);
    }

    [Fact]
    public async Task Of_a_version_whose_name_was_purged_no_client_is_told()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("part", "1.0.0", "2.0.0");
        bench.Upstream.UnpublishVersion("part", "1.0.0");
        await bench.SyncAsync("part");
        var (name, day) = (PackageName.Parse("part"), DateOnly.FromDateTime(bench.Clock.GetUtcNow().UtcDateTime));
        await bench.Store.Tarballs.RecordAccessAsync([new TarballAccess(name, "part-1.0.0.tgz", "10.0.0.1", day, 1), new TarballAccess(name, "part-2.0.0.tgz", "10.0.0.2", day, 1)], Cancelled);
        Assert.Equal(1, Assert.Single(await ListAsync(bench)).ClientCount);
        bench.Clock.Advance(TimeSpan.FromDays(2));
        bench.Options.Removed.Unpublished = RemovedMode.Purge;
        await bench.CollectAsync();

        // Its file is not known any more, and those of the others tell nothing of it.
        var told = Assert.Single(await ListAsync(bench));
        Assert.Equal((null, true, 0L), (told.Version, told.IsPurged, told.ClientCount));
        Assert.Empty(told.Clients);
    }

    private static async Task DeleteAsync(MaintenanceBench bench, string name)
    {
        bench.Upstream.Delete(name);
        var now = bench.Clock.GetUtcNow();
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync(name, new QueueItem { Name = PackageName.Parse(name), Priority = QueuePriority.Change, DueAt = now, QueuedAt = now, IsDeletedRow = true }));
    }

    private static async Task<List<Takedown>> ListAsync(MaintenanceBench bench, DateTimeOffset? since = null) =>
        await new Takedowns(bench.Store.Packages, bench.Store.Log, bench.Store.Tarballs).ListAsync(since, null, Cancelled).ToListAsync(Cancelled);
}
