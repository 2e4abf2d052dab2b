using NpmMirror.Following;

namespace NpmMirror.Tests.Following;

public sealed class MonitorReadersTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Several_readers_hear_everything_and_the_end()
    {
        await using var scene = await MonitorScene.StartAsync();
        for (var i = 0; i < 100; i++)
        {
            scene.Publish($"p{i}");
        }

        var revised = 0;
        var readers = Enumerable.Range(0, 3).Select(_ => Task.Run(() => GatherAsync(scene.Monitor.ReadAsync(Cancellation).Select(told =>
        {
            if (told is MonitorEvent.Revised)
            {
                Interlocked.Increment(ref revised);
            }

            return told;
        })), Cancellation)).ToArray();
        await Eventually.Async(() => scene.Monitor.IsObserved);
        // Each reader must be there before the first event.
        await Eventually.Async(() => scene.Monitor.ReaderCount == 3);
        scene.Monitor.Start(Sequence.Zero);
        // Events that still wait for a reader at the stop are dropped.
        await Eventually.Async(() => Volatile.Read(ref revised) == 3);
        await scene.Monitor.StopAsync(Cancellation);
        foreach (var heard in await Task.WhenAll(readers))
        {
            Assert.Equal(100, heard.OfType<MonitorEvent.Appeared>().Count());
            Assert.IsType<MonitorEvent.Ended>(heard[^1]);
        }
    }

    [Claim("A slow reader makes the monitor wait, memory does not grow",
        Red = "a reader's channel has no limit")]
    [Fact]
    public async Task A_slow_reader_makes_the_monitor_wait_instead_of_piling_up()
    {
        await using var scene = await MonitorScene.StartAsync();
        for (var i = 0; i < 200; i++)
        {
            scene.Publish($"p{i}");
        }

        await using var reader = scene.Monitor.FollowAsync(Sequence.Zero, Cancellation).GetAsyncEnumerator(Cancellation);
        Assert.True(await reader.MoveNextAsync());
        var asked = -1L;
        await Eventually.Async(() => asked == (asked = scene.Registry.Requests.TotalCount) && asked > 10);
        Assert.InRange(scene.Told.Count, 1, 40);
        Assert.InRange(asked, 1, 60);
        for (var heard = 0; heard < 200;)
        {
            Assert.True(await reader.MoveNextAsync());
            heard += reader.Current is MonitorEvent.Appeared ? 1 : 0;
        }
    }

    [Claim("After a stop `await foreach` gives the end and nothing more",
        Red = "`MonitorListeners.ReadAsync` gives what waited when the monitor was stopped")]
    [Fact]
    public async Task A_reader_of_a_stopped_monitor_gets_no_waiting_event()
    {
        await using var scene = await MonitorScene.StartAsync();
        for (var i = 0; i < 50; i++)
        {
            scene.Publish($"p{i}");
        }

        await using var reader = scene.Monitor.FollowAsync(Sequence.Zero, Cancellation).GetAsyncEnumerator(Cancellation);
        while (await reader.MoveNextAsync() && reader.Current is not MonitorEvent.Appeared)
        {
        }

        // By now more events wait than one.
        await Eventually.Async(() => scene.Told.OfType<MonitorEvent.Appeared>().Count() > 5);
        scene.Monitor.Stop();
        var rest = new List<MonitorEvent>();
        while (await reader.MoveNextAsync())
        {
            rest.Add(reader.Current);
        }

        Assert.IsType<MonitorEvent.Ended>(Assert.Single(rest));
    }

    [Fact]
    public async Task A_reader_that_leaves_stops_the_reading_it_started()
    {
        await using var scene = await MonitorScene.StartAsync();
        scene.Publish("a");
        await foreach (var told in scene.Monitor.FollowAsync(Sequence.Zero, Cancellation))
        {
            if (told is MonitorEvent.Appeared)
            {
                break;
            }
        }

        Assert.False(scene.Monitor.IsRunning);
        Assert.IsType<MonitorEvent.Ended>(scene.Told.Last());
    }

    [Fact]
    public async Task A_reader_may_stop_the_monitor_while_events_wait_for_it()
    {
        await using var scene = await MonitorScene.StartAsync();
        for (var i = 0; i < 200; i++)
        {
            scene.Publish($"p{i}");
        }

        await foreach (var told in scene.Monitor.FollowAsync(Sequence.Zero, Cancellation))
        {
            if (told is MonitorEvent.Appeared && scene.Monitor.IsRunning)
            {
                await scene.Monitor.StopAsync(Cancellation);
            }
        }

        Assert.IsType<MonitorEvent.Ended>(scene.Told.Last());
    }

    [Fact]
    public async Task A_listener_that_throws_stops_no_other()
    {
        await using var scene = await MonitorScene.StartAsync();
        scene.Monitor.Appeared += _ => throw new InvalidOperationException("mine");
        scene.Publish("a");
        scene.Publish("b");
        scene.Monitor.Start(Sequence.Zero);
        await scene.WaitForAsync(told => told is MonitorEvent.Revised);
        Assert.Equal(2, scene.Told.OfType<MonitorEvent.Appeared>().Count());
    }

    private static async Task<List<MonitorEvent>> GatherAsync(IAsyncEnumerable<MonitorEvent> events)
    {
        var heard = new List<MonitorEvent>();
        await foreach (var told in events)
        {
            heard.Add(told);
        }

        return heard;
    }
}
