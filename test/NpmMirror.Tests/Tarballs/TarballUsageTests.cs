using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Storage;
using NpmMirror.Tarballs;

namespace NpmMirror.Tests.Tarballs;

public sealed class TarballUsageTests
{
    private const string File = "left-pad-1.0.0.tgz";

    private static readonly PackageName Package = PackageName.Parse("left-pad");

    private readonly FakeClock _clock = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Adds_up_by_tarball_client_and_day()
    {
        await using var store = new MemoryStore(_clock);
        await using (var usage = Start(store))
        {
            usage.Record(Package, File, "192.0.2.1");
            usage.Record(Package, File, "192.0.2.1");
            usage.Record(Package, File, "192.0.2.2");
        }

        var today = DateOnly.FromDateTime(_clock.GetUtcNow().UtcDateTime);
        var accesses = await store.Tarballs.ListAccessAsync(Package, File, Cancelled).ToListAsync(Cancelled);
        Assert.Equal([("192.0.2.1", today, 2L), ("192.0.2.2", today, 1L)], accesses.Select(access => (access.Client, access.Day, access.Count)).Order());
    }

    [Fact]
    public async Task Is_written_within_a_second_without_waiting_for_the_end()
    {
        await using var store = new MemoryStore(_clock);
        await using var usage = Start(store);
        usage.Record(Package, File, "192.0.2.1");
        await Eventually.Async(async () =>
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            return await store.Tarballs.ListAccessAsync(Package, File, Cancelled).AnyAsync(Cancelled);
        });
        Assert.Equal(0, usage.DroppedCount);
    }

    [Fact]
    public async Task A_store_that_does_not_keep_up_costs_entries_and_never_a_wait()
    {
        await using var store = new MemoryStore(_clock);
        var usage = Start(store);
        // The clock stands still, so nothing is written meanwhile but at most the first batch.
        for (var i = 0; i < 30_000; i++)
        {
            usage.Record(Package, File, "192.0.2.1");
        }

        Assert.InRange(usage.DroppedCount, 10_000, 20_000);
        await usage.DisposeAsync();
        var kept = await store.Tarballs.ListAccessAsync(Package, File, Cancelled).Select(access => access.Count).SumAsync(Cancelled);
        Assert.Equal(30_000, kept + usage.DroppedCount);
    }

    [Fact]
    public async Task A_store_that_is_gone_costs_entries_and_nothing_else()
    {
        var store = new MemoryStore(_clock);
        var usage = Start(store);
        await store.DisposeAsync();
        usage.Record(Package, File, "192.0.2.1");
        await usage.DisposeAsync();
        Assert.Equal(1, usage.DroppedCount);
    }

    private TarballUsage Start(MemoryStore store) => new(store.Tarballs, _clock, NullLogger<TarballUsage>.Instance);
}
