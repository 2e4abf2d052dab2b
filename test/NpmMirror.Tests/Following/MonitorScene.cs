using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Testing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Following;

/// <summary>A fake registry, a monitor without a store that follows it, and its events.</summary>
internal sealed class MonitorScene : IAsyncDisposable
{
    private readonly ByteBudget _budget = new(50_000_000);

    private MonitorScene(FakeRegistry registry) => Registry = registry;

    internal FakeRegistry Registry { get; }

    internal RegistryClient Client { get; private set; } = null!;

    internal RegistryMonitor Monitor { get; private set; } = null!;

    /// <summary>The .NET events, in order.</summary>
    internal ConcurrentQueue<MonitorEvent> Told { get; } = new();

    internal static async Task<MonitorScene> StartAsync(MonitorOptions? options = null, FeedOptions? feed = null, TimeProvider? time = null, FakeFeedDialect dialect = FakeFeedDialect.CouchDb, IChangeHandler? handler = null, TimeSpan? requestTimeout = null)
    {
        var scene = new MonitorScene(await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken));
        scene.Registry.Knobs.Feed = dialect;
        time ??= TimeProvider.System;
        scene.Client = new RegistryClient(new RegistryClientOptions { BaseUrl = scene.Registry.Url, Timeout = requestTimeout ?? TimeSpan.FromSeconds(30), ConnectTimeout = requestTimeout ?? TimeSpan.FromSeconds(30) }, scene._budget, time, NullLogger.Instance);
        feed ??= new FeedOptions();
        IChangeFeed followed = dialect == FakeFeedDialect.CouchDb
            ? new LiveChangeFeed(scene.Client, scene.Registry.Url, feed)
            : new PagedChangeFeed(scene.Client, scene.Registry.Url, feed);
        options ??= new MonitorOptions();
        scene.Monitor = handler is null
            ? RegistryMonitor.Bare(followed, scene.Client, options, concurrency: 3, time, NullLogger.Instance)
            : new RegistryMonitor(followed, handler, options, time, NullLogger.Instance);
        scene.Listen();
        return scene;
    }

    internal void Publish(string name, string version = "1.0.0") => Registry.Publish(new FakePackage(name).Version(version));

    /// <summary>Starts, and waits until the feed's head was reached and the next change is waited for.</summary>
    internal async Task StartAsync(Sequence? since)
    {
        Monitor.Start(since);
        await WaitForAsync(told => told is MonitorEvent.Started);
        await Registry.Requests.WaitForAsync(request => request.Target.Contains("feed=", StringComparison.Ordinal), TestContext.Current.CancellationToken);
    }

    internal async Task<MonitorEvent> WaitForAsync(Predicate<MonitorEvent> fits)
    {
        MonitorEvent? found = null;
        await Eventually.Async(() => (found = Told.FirstOrDefault(told => fits(told))) is not null);
        return found!;
    }

    /// <summary>The events as B2 of the command line writes them.</summary>
    internal IEnumerable<string> Lines() => Told.Select(told => told switch
    {
        MonitorEvent.Started => "started",
        MonitorEvent.Polled => "",
        MonitorEvent.Appeared appeared => $"+ {appeared.Package}",
        MonitorEvent.Updated updated => $"> {updated.Package}",
        MonitorEvent.Deleted deleted => $"- {deleted.Package}",
        MonitorEvent.Revised revised => $"@ {revised.LastSequence} {revised.Changes}",
        MonitorEvent.Failed failed => $"! {failed.Package}",
        _ => "ended",
    }).Where(line => line.Length > 0);

    public async ValueTask DisposeAsync()
    {
        await Monitor.DisposeAsync();
        Client.Dispose();
        await Registry.DisposeAsync();
        _budget.Dispose();
    }

    private void Listen()
    {
        Monitor.Started += Told.Enqueue;
        Monitor.Polled += Told.Enqueue;
        Monitor.Appeared += Told.Enqueue;
        Monitor.Updated += Told.Enqueue;
        Monitor.Deleted += Told.Enqueue;
        Monitor.Revised += Told.Enqueue;
        Monitor.Failed += Told.Enqueue;
        Monitor.Ended += Told.Enqueue;
    }
}
