using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Maintenance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>The collections of a running mirror: when they come, and when they do not.</summary>
public sealed class GarbageScheduleTests
{
    private static readonly TimeSpan Every = TimeSpan.FromHours(6);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A mirror collects garbage once in every `gc.every`, not before, and goes on after a collection that failed",
        With = [nameof(Nothing_is_collected_offline_or_without_a_schedule)],
        Red = "it does not wait, collects dry, collects offline, or ends at the first failure")]
    [Fact]
    public async Task Collects_once_in_every_interval_also_after_a_failure()
    {
        var isFailing = false;
        await using var bench = await MaintenanceBench.StartAsync(
            options => options.Gc.Every = Every,
            store => FailingStore.Over(store, nameof(ILeaseTable.TryHoldLeaseAsync), () => isFailing ? new MirrorException(MirrorFault.StoreUnavailable, "Not now.") : null));
        var log = new CollectedLog();
        using var schedule = new GarbageSchedule(new GarbageCollector(bench.Store, bench.Blobs, bench.Options, bench.Clock), bench.Options, bench.Clock, log.For<GarbageSchedule>());
        var garbage = await bench.PutBlobAsync("nobody's"u8.ToArray());
        isFailing = true;
        await schedule.StartAsync(Cancelled);
        await Eventually.Async(() => bench.Clock.IsNextIn(Every));
        bench.Clock.Advance(Every);
        await Eventually.Async(() => bench.Clock.IsNextIn(Every));
        Assert.Contains(log.Lines, line => line.Contains("Nothing was collected", StringComparison.Ordinal) && line.Contains("Not now.", StringComparison.Ordinal));

        isFailing = false;
        bench.Clock.Advance(Every - TimeSpan.FromMilliseconds(1));
        Assert.True(await bench.Blobs.ExistsAsync(garbage, Cancelled));
        bench.Clock.Advance(TimeSpan.FromMilliseconds(1));
        await Eventually.Async(() => bench.Clock.IsNextIn(Every));
        Assert.False(await bench.Blobs.ExistsAsync(garbage, Cancelled));
        Assert.Contains(log.Lines, line => line.Contains("Collected 8 bytes", StringComparison.Ordinal));

        await schedule.StopAsync(Cancelled);
        Assert.True(schedule.ExecuteTask!.IsCompletedSuccessfully);
        Assert.Equal(1, log.Lines.Count(line => line.Contains("Collected ", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(6, true)]
    public async Task Nothing_is_collected_offline_or_without_a_schedule(int everyHours, bool isOffline)
    {
        await using var bench = await MaintenanceBench.StartAsync(options => (options.Gc.Every, options.Offline) = (TimeSpan.FromHours(everyHours), isOffline));
        using var schedule = new GarbageSchedule(new GarbageCollector(bench.Store, bench.Blobs, bench.Options, bench.Clock), bench.Options, bench.Clock, NullLogger<GarbageSchedule>.Instance);
        await schedule.StartAsync(Cancelled);
        await schedule.ExecuteTask!.WaitAsync(TimeSpan.FromSeconds(60), Cancelled);
    }
}
