using Microsoft.Extensions.Logging;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.AspNetCore;
using NpmMirror.Tests.Maintenance;

namespace NpmMirror.Tests.Syncing;

/// <summary>How long the queue sleeps when nothing is due: until the next item is, and never longer than a second.</summary>
public sealed class SyncQueueTests
{
    private static readonly PackageName Name = PackageName.Parse("left-pad");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("Listeners hear how a try of a package ended before its waiters, so `Revised` comes after the `Updated` that it covers; a listener that fails delays no other",
        Red = "`SyncQueue` completes the waiter before its listeners are told")]
    [Fact]
    public async Task Listeners_hear_of_a_try_before_its_waiters()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        var (heard, goOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        using var listening = bench.Queue.OnAttempt(async (_, _) =>
        {
            heard.SetResult();
            await goOn.Task;
            throw new MirrorException(MirrorFault.StoreUnavailable, "A listener that fails.");
        });
        await bench.Store.Queue.EnqueueAsync([bench.Item("left-pad")], null, Token);
        var waiting = bench.Queue.NextAttemptAsync(Name);
        var trying = bench.Queue.TryNowAsync(Name, Token);
        await heard.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.False(waiting.IsCompleted);

        // A listener that fails delays no other.
        goOn.SetResult();
        Assert.IsType<SyncResult.Stored>((await waiting).Result);
        await Assert.ThrowsAsync<MirrorException>(() => trying);
    }

    [Claim("The queue sleeps until the next item is due, and never longer than a second: an item of another process is tried within a second",
        With =
        [
            nameof(An_item_due_within_the_second_is_tried_when_it_is_due),
            nameof(Of_the_named_ones_only_those_that_are_due_are_tried),
            nameof(A_queue_that_cannot_be_read_is_looked_at_again_after_a_pause),
        ],
        Red = "`SyncQueue` sleeps until the next item is due: the first was red; it always sleeps a second: the second; ")]
    [Theory]
    [InlineData(null)]
    [InlineData(60)]
    public async Task An_item_that_another_process_adds_is_tried_within_a_second(int? laterSeconds)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        if (laterSeconds is { } seconds)
        {
            await bench.Store.Queue.EnqueueAsync([bench.Item("later") with { DueAt = bench.Clock.GetUtcNow().AddSeconds(seconds) }], null, Token);
        }

        await RunAsync(bench, async tried =>
        {
            // Into the store and not through the queue: nothing wakes it.
            await bench.Store.Queue.EnqueueAsync([bench.Item("left-pad")], null, Token);
            bench.Clock.Advance(TimeSpan.FromSeconds(1));
            Assert.IsType<SyncResult.Stored>((await tried).Result);
        });
    }

    [Fact]
    public async Task An_item_that_is_added_through_the_queue_is_tried_at_once()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await RunAsync(bench, async tried =>
        {
            await bench.Queue.EnqueueAsync([bench.Item("left-pad")], new QueueCursor("read", "7"), Token);
            Assert.IsType<SyncResult.Stored>((await tried).Result);
            Assert.Equal("7", await bench.Store.Notes.FindNoteAsync("read", Token));
        });
    }

    [Fact]
    public async Task The_depth_of_the_queue_and_how_tries_ended_are_measured()
    {
        using var meter = new System.Diagnostics.Metrics.Meter("queue");
        var measured = new System.Collections.Concurrent.ConcurrentQueue<string>();
        using var listener = new System.Diagnostics.Metrics.MeterListener { InstrumentPublished = (instrument, it) =>
        {
            if (instrument.Meter == meter)
            {
                it.EnableMeasurementEvents(instrument);
            }
        } };
        listener.SetMeasurementEventCallback<long>((instrument, count, tags, _) => measured.Enqueue($"{instrument.Name} {string.Join(' ', tags.ToArray().Select(tag => tag.Value))} {count}"));
        listener.Start();
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        using var queue = new SyncQueue(bench.Store, bench.Sync, bench.Options, bench.Clock, Microsoft.Extensions.Logging.Abstractions.NullLogger<SyncQueue>.Instance, meter);
        await queue.EnqueueAsync([bench.Item("left-pad"), bench.Item("nobody") with { DueAt = bench.Clock.GetUtcNow().AddHours(1) }], null, Token);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var tried = queue.NextAttemptAsync(Name);
        var running = queue.RunAsync(stop.Token);
        await tried;
        await stop.CancelAsync();
        await running;
        Assert.Contains("npm_mirror.sync.attempts stored 1", measured);
        Assert.Contains(measured, line => line.StartsWith("npm_mirror.queue.depth", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_item_due_within_the_second_is_tried_when_it_is_due()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.Store.Queue.EnqueueAsync([bench.Item("left-pad") with { DueAt = bench.Clock.GetUtcNow().AddMilliseconds(300) }], null, Token);
        await RunAsync(bench, async tried =>
        {
            bench.Clock.Advance(TimeSpan.FromMilliseconds(300));
            Assert.IsType<SyncResult.Stored>((await tried).Result);
        });
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    public async Task Of_the_named_ones_only_those_that_are_due_are_tried(int secondsUntilDue, bool isTried)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        await bench.Queue.EnqueueAsync([bench.Item("left-pad") with { DueAt = bench.Clock.GetUtcNow().AddSeconds(secondsUntilDue) }], null, Token);
        await bench.Queue.DrainAsync([Name, PackageName.Parse("not-queued")], Token);
        Assert.Equal(isTried ? 1 : 0, bench.Upstream.Requests.CountOf("/*"));
        Assert.Equal(isTried, await bench.Store.Queue.FindQueuedAsync(Name, Token) is null);
    }

    [Theory]
    [InlineData(MirrorFault.StoreUnavailable, true)]
    [InlineData(MirrorFault.StoreReadOnly, false)]
    public async Task A_queue_that_cannot_be_read_is_looked_at_again_after_a_pause(MirrorFault fault, bool isTold)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        var isFailing = true;
        var store = FailingStore.Over(bench.Store, nameof(IQueueTable.TakeAsync), () => isFailing ? new MirrorException(fault, "Not now.", isTransient: true) : null);
        var log = new CollectedLog();
        using var queue = new SyncQueue(store, bench.Sync, bench.Options, bench.Clock, log.Factory.CreateLogger<SyncQueue>());
        await queue.EnqueueAsync([bench.Item("left-pad")], null, Token);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var tried = queue.NextAttemptAsync(Name);
        var running = queue.RunAsync(stop.Token);

        // The pause, and no busy loop: a timer waits.
        await Eventually.Async(() => bench.Clock.HasTimerBetween(TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(30)));
        Assert.Equal(isTold, log.Lines.Any(line => line.Contains("cannot be processed: Not now.", StringComparison.Ordinal)));
        isFailing = false;
        await Eventually.Async(() =>
        {
            bench.Clock.Advance(TimeSpan.FromSeconds(1));
            return tried.IsCompleted;
        });
        Assert.IsType<SyncResult.Stored>((await tried).Result);
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task A_store_that_says_how_long_it_is_away_is_left_alone_so_long()
    {
        await using var bench = await MirrorBench.StartAsync();
        var store = FailingStore.Over(bench.Store, nameof(IQueueTable.TakeAsync), () => new MirrorException(MirrorFault.StoreUnavailable, "Not now.", isTransient: true, retryAfter: TimeSpan.FromSeconds(25)));
        using var queue = new SyncQueue(store, bench.Sync, bench.Options, bench.Clock, Microsoft.Extensions.Logging.Abstractions.NullLogger<SyncQueue>.Instance);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var running = queue.RunAsync(stop.Token);
        await Eventually.Async(() => bench.Clock.HasTimerBetween(TimeSpan.FromSeconds(25), TimeSpan.FromMinutes(1)));
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task Of_many_that_are_due_so_many_are_taken_as_there_are_places()
    {
        const int PlacesPerRequest = 16;
        await using var bench = await MirrorBench.StartAsync(new NpmMirror.Options.MirrorOptions { Concurrency = 1 });
        using var gate = new FakeGate();
        bench.Upstream.Knobs.Add(new FakeRule { Path = "/*", Gate = gate });
        await bench.Store.Queue.EnqueueAsync([.. Enumerable.Range(0, 40).Select(i => bench.Item($"p{i}"))], null, Token);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var running = bench.Queue.RunAsync(stop.Token);
        await Eventually.Async(() => bench.Queue.InFlight == PlacesPerRequest);
        await gate.WaitForAsync(1, Token);
        Assert.Equal(PlacesPerRequest, bench.Queue.InFlight);
        Assert.Equal(40 - PlacesPerRequest, (await bench.Store.Queue.TakeAsync(40, TimeSpan.FromSeconds(1), Token)).Count);
        await stop.CancelAsync();
        await running;
        Assert.Equal(0, bench.Queue.InFlight);
    }

    [Claim("The packages of the store are counted for the metrics once a second at most",
        Red = "`SyncQueue.MeasureAsync` does not note when it counted")]
    [Fact]
    public async Task The_depth_is_counted_once_while_many_are_tried_within_a_second()
    {
        await using var bench = await MirrorBench.StartAsync(new NpmMirror.Options.MirrorOptions { Concurrency = 1 });
        var (store, counts) = CountedStore.Over(bench.Store);
        using var queue = new SyncQueue(store, bench.Sync, bench.Options, bench.Clock, Microsoft.Extensions.Logging.Abstractions.NullLogger<SyncQueue>.Instance);
        await queue.EnqueueAsync([.. Enumerable.Range(0, 40).Select(i => bench.Item($"p{i}"))], null, Token);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var running = queue.RunAsync(stop.Token);
        await Eventually.Async(async () => await bench.Store.Queue.FindQueuedAsync(PackageName.Parse("p39"), Token) is null or { Attempts: > 0 });
        await Eventually.Async(() => counts.CountOf(nameof(IQueueTable.NextDueAsync)) > 0);
        Assert.True(counts.CountOf(nameof(IQueueTable.TakeAsync)) > 2);
        Assert.Equal(1, counts.CountOf(nameof(IMetadataStore.CountAsync)));
        await stop.CancelAsync();
        await running;
    }

    /// <summary>Runs the queue until it sleeps, then does something; ends it in any case.</summary>
    private static async Task RunAsync(MirrorBench bench, Func<Task<SyncAttempt>, Task> actAsync)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var tried = bench.Queue.NextAttemptAsync(Name).WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Token);
        var before = bench.Clock.Waiting;
        var running = bench.Queue.RunAsync(stop.Token);
        try
        {
            await Eventually.Async(() => bench.Clock.Waiting > before);
            await actAsync(tried);
        }
        finally
        {
            await stop.CancelAsync();
            await running;
        }
    }
}
