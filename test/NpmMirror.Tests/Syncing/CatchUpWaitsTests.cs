using NpmMirror.Options;
using NpmMirror.Syncing;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Syncing;

/// <summary>What a sync waits for, and what it tells meanwhile.</summary>
public sealed class CatchUpWaitsTests
{
    private static readonly PackageName Name = PackageName.Parse("a");
    private static readonly TimeSpan Quarter = TimeSpan.FromMilliseconds(250);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Work_of_another_process_is_looked_at_each_quarter_second()
    {
        await using var bench = await MirrorBench.StartAsync();
        await bench.Store.Queue.EnqueueAsync([bench.Item("a")], null, Token);
        var lease = (await bench.Store.Queue.TakeAsync(Name, TimeSpan.FromMinutes(1), Token))!;
        var catchUp = new CatchUp(bench.Store, bench.Queue, bench.Clock);
        await catchUp.ExpectAsync([Name], Token);
        var running = catchUp.RunAsync(null, Token);

        // It became due in the past: no time to wait for is left.
        for (var look = 0; look < 3; look++)
        {
            await Eventually.Async(() => running.IsCompleted || bench.Clock.HasTimerBetween(Quarter, Quarter));
            Assert.False(running.IsCompleted);
            bench.Clock.Advance(TimeSpan.FromMilliseconds(200));
            Assert.False(running.IsCompleted);
            bench.Clock.Advance(TimeSpan.FromMilliseconds(50));
        }

        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        await bench.SyncAsync("a");
        await bench.Store.Queue.CompleteAsync(lease, null, Token);
        await bench.Clock.SkipWaitsAsync(running, Quarter);
        var summary = await running;
        Assert.Equal(1, summary.Changed);
        Assert.Empty(summary.Failures);
    }

    [Fact]
    public async Task Once_cancelled_no_progress_is_told_while_tries_end()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0"));
        await bench.Store.Queue.EnqueueAsync([bench.Item("a")], null, Token);
        var (heard, goOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        using var listening = bench.Queue.OnAttempt(async (_, _) =>
        {
            heard.TrySetResult();
            await goOn.Task;
        });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var reported = new Reports();
        var running = new CatchUp(bench.Store, bench.Queue, bench.Clock).RunAsync(reported, stop.Token);
        await heard.Task;
        await stop.CancelAsync();
        var before = reported.Count;
        for (var quarter = 0; quarter < 3; quarter++)
        {
            await Eventually.Async(() => bench.Clock.HasTimerBetween(Quarter, Quarter));
            bench.Clock.Advance(Quarter);
        }

        await Eventually.Async(() => bench.Clock.HasTimerBetween(Quarter, Quarter));
        Assert.Equal(before, reported.Count);
        goOn.SetResult();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task Progress_tells_the_tarballs_that_are_still_to_come()
    {
        await using var bench = await MirrorBench.StartAsync(new MirrorOptions { Tarballs = TarballMode.Eager });
        using var gate = new FakeGate();
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0").Version("2.0.0"));
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/a/-/*", Gate = gate });
        await bench.Store.Queue.EnqueueAsync([bench.Item("a")], null, Token);
        var reported = new Reports();
        var running = new CatchUp(bench.Store, bench.Queue, bench.Clock).RunAsync(reported, Token);
        await gate.WaitForAsync(1, Token);
        await Eventually.Async(() =>
        {
            bench.Clock.Advance(Quarter);
            return reported.Last is { TarballsLeft: 2 };
        });
        gate.Open();
        await bench.Clock.SkipWaitsAsync(running, Quarter);
        await running;
        Assert.Equal(0, reported.Last!.TarballsLeft);
    }

    private sealed class Reports : IProgress<SyncProgress>
    {
        internal SyncProgress? Last { get; private set; }

        internal int Count { get; private set; }

        public void Report(SyncProgress value)
        {
            Last = value;
            Count++;
        }
    }
}
