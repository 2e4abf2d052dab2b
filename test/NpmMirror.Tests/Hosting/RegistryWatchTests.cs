using NpmMirror.Hosting;
using NpmMirror.Options;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Hosting;

public sealed class RegistryWatchTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A monitor without a mirror tells by events, from options alone; an upstream without a feed is refused",
        With = [nameof(An_upstream_without_a_feed_is_refused)])]
    [Fact]
    public async Task A_monitor_without_a_mirror_tells_changes_by_events()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Token);
        registry.Publish(new FakePackage("a").Version("1.0.0"));
        await using var monitor = await RegistryWatch.OpenAsync(new MirrorOptions { Upstream = registry.Url.AbsoluteUri }, cancellationToken: Token);
        Assert.False(monitor.IsRunning);
        var appeared = new TaskCompletionSource<PackageName>();
        monitor.Appeared += told => appeared.TrySetResult(told.Package);
        monitor.Start(Sequence.Zero);
        Assert.Equal("a", (await appeared.Task.WaitAsync(TimeSpan.FromSeconds(60), Token)).Value);
    }

    [Fact]
    public async Task An_upstream_without_a_feed_is_refused()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Token);
        var refused = await Assert.ThrowsAsync<MirrorException>(() => RegistryWatch.OpenAsync(new MirrorOptions { Upstream = registry.Url.AbsoluteUri, Feed = "none" }, cancellationToken: Token));
        Assert.Contains("has no feed of changes", refused.Message, StringComparison.Ordinal);
    }
}
