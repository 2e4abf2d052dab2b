using NpmMirror.Following;

namespace NpmMirror.Tests.Following;

public sealed class MonitorStateTests
{
    [Fact]
    public async Task Is_connected_from_an_accepted_request_to_the_next_failure()
    {
        await using var scene = await MonitorScene.StartAsync(new MonitorOptions { FirstRetry = TimeSpan.FromMilliseconds(50), LongestRetry = TimeSpan.FromMilliseconds(50) });
        Assert.Equal((false, false), (scene.Monitor.IsRunning, scene.Monitor.IsConnected));
        await scene.StartAsync(null);
        await Eventually.Async(() => scene.Monitor.IsConnected);

        scene.Registry.Knobs.Fail("/_changes", 503);
        scene.Publish("a");
        await scene.WaitForAsync(told => told is MonitorEvent.Failed);
        await Eventually.Async(() => !scene.Monitor.IsConnected);
        Assert.True(scene.Monitor.IsRunning);

        scene.Registry.Knobs.Clear();
        await Eventually.Async(() => scene.Monitor.IsConnected);
        await scene.Monitor.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal((false, false), (scene.Monitor.IsRunning, scene.Monitor.IsConnected));
    }
}
