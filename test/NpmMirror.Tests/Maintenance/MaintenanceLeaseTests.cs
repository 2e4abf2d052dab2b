using System.Collections.Concurrent;
using NpmMirror.Maintenance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>Maintenance whose lease another process took, after a long sleep of the machine for example, stops before it changes more.</summary>
public sealed class MaintenanceLeaseTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A verification or a collection whose lease another process took stops, changes nothing more and says so; one that holds its lease renews it",
        With = [nameof(A_verification_that_lost_its_lease_stops_and_says_so), nameof(A_lease_that_is_held_is_renewed_and_given_back)],
        Red = "`MaintenanceLease` does not cancel when it is lost")]
    [Fact]
    public async Task A_collection_that_lost_its_lease_stops_and_says_so()
    {
        await using var bench = await StartAsync("gc");
        var garbage = await bench.PutBlobAsync("nobody's"u8.ToArray());
        var failure = await Assert.ThrowsAsync<MirrorException>(() => bench.CollectAsync().WaitAsync(TimeSpan.FromSeconds(60), Cancelled));
        Assert.Contains("gc", failure.Message, StringComparison.Ordinal);
        Assert.Contains("Another npm-mirror", failure.Message, StringComparison.Ordinal);
        Assert.Equal(MirrorFault.StoreUnavailable, failure.Fault);
        Assert.True(await bench.Blobs.ExistsAsync(garbage, Cancelled));
    }

    [Fact]
    public async Task A_verification_that_lost_its_lease_stops_and_says_so()
    {
        await using var bench = await StartAsync("verify");
        var failure = await Assert.ThrowsAsync<MirrorException>(() => bench.VerifyAsync().WaitAsync(TimeSpan.FromSeconds(60), Cancelled));
        Assert.Contains("verify", failure.Message, StringComparison.Ordinal);
        Assert.True(failure.IsTransient);
    }

    [Fact]
    public async Task A_lease_that_is_held_is_renewed_and_given_back()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await using (var lease = await MaintenanceLease.TakeAsync(bench.Store, "gc", bench.Clock, Cancelled))
        {
            for (var quarter = 0; quarter < 12; quarter++)
            {
                await Eventually.Async(() => bench.Clock.Waiting > 0);
                bench.Clock.Advance(TimeSpan.FromSeconds(15));
                Assert.False(await bench.Store.Leases.TryHoldLeaseAsync("gc", "another", TimeSpan.FromMinutes(1), Cancelled));
            }

            Assert.False(lease.Token.IsCancellationRequested);
        }

        Assert.True(await bench.Store.Leases.TryHoldLeaseAsync("gc", "another", TimeSpan.FromMinutes(1), Cancelled));
    }

    [Fact]
    public async Task A_lease_that_was_lost_is_not_taken_again()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await using var lease = await MaintenanceLease.TakeAsync(bench.Store, "gc", bench.Clock, Cancelled);
        bench.Tamper("UPDATE leases SET owner = 'another' WHERE name = 'gc'");
        await Eventually.Async(() => bench.Clock.Waiting > 0);
        bench.Clock.Advance(TimeSpan.FromSeconds(15));
        await Eventually.Async(() => lease.IsLost && bench.Clock.Waiting == 0);
        Assert.True(lease.Token.IsCancellationRequested);
    }

    [Claim("The lease of a process that died while it maintained a store ends within a minute",
        Red = "`MaintenanceLease.Duration` is two minutes")]
    [Fact]
    public async Task A_lease_is_taken_for_a_minute()
    {
        var taken = new ConcurrentQueue<TimeSpan>();
        await using var bench = await MaintenanceBench.StartAsync();
        var store = InterceptedStore.Over(bench.Store, call =>
        {
            if (call.Method == nameof(ILeaseTable.TryHoldLeaseAsync))
            {
                taken.Enqueue((TimeSpan)call.Arguments[2]!);
            }

            return call.Make();
        });
        await using var lease = await MaintenanceLease.TakeAsync(store, "gc", bench.Clock, Cancelled);
        await Eventually.Async(() => bench.Clock.Waiting > 0);
        bench.Clock.Advance(TimeSpan.FromSeconds(15));
        await Eventually.Async(() => taken.Count > 1);
        Assert.All(taken, duration => Assert.Equal(TimeSpan.FromMinutes(1), duration));
    }

    /// <summary>A mirror with one tarball; while the work has its first look at a blob, another process takes the lease, and the work waits until it hears of it.</summary>
    private static async Task<MaintenanceBench> StartAsync(string lease)
    {
        MaintenanceBench? bench = null;
        HookedBlobs? blobs = null;
        bench = await MaintenanceBench.StartAsync(wrapBlobs: files => blobs = new HookedBlobs(files));
        await bench.HoldAsync("left-pad", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromDays(1));
        blobs!.BeforeOpen = blobs.BeforeList = async token =>
        {
            bench.Tamper($"UPDATE leases SET owner = 'another' WHERE name = '{lease}'");
            await Eventually.Async(() => bench.Clock.Waiting > 0);
            bench.Clock.Advance(TimeSpan.FromSeconds(15));
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
        };
        return bench;
    }
}
