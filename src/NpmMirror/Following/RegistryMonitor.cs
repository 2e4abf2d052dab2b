using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Upstream;

namespace NpmMirror.Following;

/// <summary>
/// Follows a feed and tells of changes, as .NET events and as <c>await foreach</c>; knows no store. Errors never end it: they are
/// told, and tried again after a while.
/// </summary>
/// <example>
/// <code>
/// await using var monitor = RegistryMonitor.Bare(feed, client, new MonitorOptions(), concurrency: 10, TimeProvider.System, logger);
/// await foreach (var told in monitor.FollowAsync(since: null, cancellationToken))
/// {
///     if (told is MonitorEvent.Updated updated)
///     {
///         Console.WriteLine($"> {updated.Package}");
///     }
/// }
/// </code>
/// </example>
public sealed partial class RegistryMonitor : IAsyncDisposable
{
    private readonly Func<MonitorRun, Sequence?, Task> _follow;
    private readonly IAsyncDisposable? _handler;
    private readonly MonitorOptions _options;
    private readonly FollowingMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly MonitorListeners _listeners;
    private readonly MonitorDelay _delay;
    private readonly Sequence? _startsAfter;
    private volatile FeedFollower? _follower;
    private readonly Lock _lock = new();
    private MonitorRun? _run;

    /// <summary>Creates a monitor; it does nothing before <see cref="Start"/>.</summary>
    /// <param name="feed">The feed to follow.</param>
    /// <param name="handler">Handles each page; disposed with the monitor if it is disposable.</param>
    /// <param name="options">How to follow.</param>
    /// <param name="time">The clock of all waits.</param>
    /// <param name="logger">Of the category <c>NpmMirror.Monitor</c>.</param>
    internal RegistryMonitor(IChangeFeed feed, IChangeHandler handler, MonitorOptions options, TimeProvider time, ILogger logger)
        : this(monitor => (run, since) => monitor.FollowOneAsync(feed, handler, run, since), options, time, logger)
    {
        _handler = handler as IAsyncDisposable;
        _startsAfter = options.LastSeq is { } text ? new Sequence(text) : null;
    }

    /// <summary>Creates the monitor of a mirror, which finds the feed itself and compares everything after a reset.</summary>
    /// <param name="follow">The work of a run until it is stopped.</param>
    /// <param name="options">How to follow.</param>
    /// <param name="time">The clock of all waits.</param>
    /// <param name="logger">Of the category <c>NpmMirror.Monitor</c>.</param>
    internal RegistryMonitor(Func<MonitorRun, Sequence?, Task> follow, MonitorOptions options, TimeProvider time, ILogger logger)
        : this(_ => follow, options, time, logger)
    {
    }

    private RegistryMonitor(Func<RegistryMonitor, Func<MonitorRun, Sequence?, Task>> follow, MonitorOptions options, TimeProvider time, ILogger logger)
    {
        _follow = follow(this);
        _options = options;
        _time = time;
        Logger = logger;
        _listeners = new MonitorListeners(exception => LogListenerFailed(logger, exception));
        _metrics = new FollowingMetrics(options.Meter);
        _delay = new MonitorDelay(options.Delay, time);
    }

    /// <summary>The first request for changes was accepted.</summary>
    public event Action<MonitorEvent.Started>? Started;

    /// <summary>A request for changes goes out.</summary>
    public event Action<MonitorEvent.Polled>? Polled;

    /// <summary>A package that was not there before.</summary>
    public event Action<MonitorEvent.Appeared>? Appeared;

    /// <summary>A package that was there before changed.</summary>
    public event Action<MonitorEvent.Updated>? Updated;

    /// <summary>A package is gone.</summary>
    public event Action<MonitorEvent.Deleted>? Deleted;

    /// <summary>Everything up to a sequence was told.</summary>
    public event Action<MonitorEvent.Revised>? Revised;

    /// <summary>Something failed; following goes on.</summary>
    public event Action<MonitorEvent.Failed>? Failed;

    /// <summary>The last event.</summary>
    public event Action<MonitorEvent.Ended>? Ended;

    /// <summary>Its options, with the present delay; to change that, set <see cref="Delay"/>.</summary>
    public MonitorOptions Options => _options with { Delay = Delay };

    /// <summary>Where it logs, category <c>NpmMirror.Monitor</c>.</summary>
    public ILogger Logger { get; }

    /// <summary>Whether the last request for changes was accepted and nothing failed since.</summary>
    public bool IsConnected => _follower is { IsConnected: true };

    /// <summary>Whether it was started and not stopped since.</summary>
    public bool IsRunning => Volatile.Read(ref _run) is { IsOver: false };

    /// <summary>Whether any listener takes events that carry metadata, so that reading it is worth while.</summary>
    public bool IsObserved => _listeners.ReaderCount > 0 || Appeared is not null || Updated is not null;

    /// <summary>The parts that are disposed of with it, last.</summary>
    internal IReadOnlyList<IDisposable> Owned { get; init; } = [];

    /// <summary>How many readers hear the events.</summary>
    internal int ReaderCount => _listeners.ReaderCount;

    /// <summary>Whether it ended because the feed's sequences jumped back, or its database became another one.</summary>
    public bool IsFeedReset => _follower is { IsFeedReset: true };

    /// <summary>Up to where everything was told; null before that is known. Pass it to <see cref="Start"/> to go on there.</summary>
    public Sequence? LastSequence => _follower?.LastSequence;

    /// <summary>How long to wait at the feed's head; may be changed at any time, and a wait under way obeys at once.</summary>
    public TimeSpan Delay
    {
        get => _delay.Value;
        set => _delay.Value = value;
    }

    /// <summary>A monitor without a store: it fetches each changed package and tells of it.</summary>
    internal static RegistryMonitor Bare(IChangeFeed feed, RegistryClient client, MonitorOptions options, int concurrency, TimeProvider time, ILogger logger, IReadOnlyList<IDisposable>? owned = null)
    {
        var known = new KnownUpstream(client.BaseUrl);
        known.Note(new UpstreamFeed.Found(feed));
        return new RegistryMonitor(feed, new FetchingHandler(client, known, concurrency, time), options, time, logger) { Owned = owned ?? [] };
    }

    /// <summary>
    /// Starts following after a sequence (<c>0</c>: everything, <c>now</c>: the head). Null: where the options say, else from the head; a
    /// mirror's monitor goes on where the mirror stands.
    /// Starting twice is told as a failure.
    /// </summary>
    public void Start(Sequence? since = null)
    {
        lock (_lock)
        {
            if (_run is { IsOver: false } running)
            {
                running.Note(TellAsync(new MonitorEvent.Failed(new InvalidOperationException("The monitor is started already."), null), CancellationToken.None));
                return;
            }

            var from = since ?? _startsAfter;
            // A run that is still ending is waited for: there are never two loops.
            var before = _run?.Task ?? Task.CompletedTask;
            var run = new MonitorRun();
            _run = run;
            run.Task = Task.Run(async () =>
            {
                await before;
                await RunAsync(run, from);
            });
        }
    }

    /// <summary>Stops: no further request, and no further event but the last, which may come a moment later.</summary>
    public void Stop() => Volatile.Read(ref _run)?.Stop();

    /// <summary>Stops, and returns when the last event was told.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _run) is { } run)
        {
            run.Stop();
            await run.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>
    /// The events that the monitor tells from now on, until it ends. A slow reader makes the monitor slow: events wait, they are not piled
    /// up. Several may read; each gets every event.
    /// </summary>
    public IAsyncEnumerable<MonitorEvent> ReadAsync(CancellationToken cancellationToken) => _listeners.ReadAsync(null, cancellationToken);

    /// <summary>Starts, gives all it tells from the first event on, and stops when the reader leaves.</summary>
    public async IAsyncEnumerable<MonitorEvent> FollowAsync(Sequence? since, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var told in _listeners.ReadAsync(() => Start(since), cancellationToken))
            {
                yield return told;
            }
        }
        finally
        {
            await StopAsync(CancellationToken.None);
        }
    }

    /// <summary>Tells an event that happened outside a page: a retry that came through, a read-through. Nothing while the monitor does not run.</summary>
    public async ValueTask TellAsync(MonitorEvent monitorEvent, CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _run) is not { IsOver: false } run || (_options.IsPublishOnly && monitorEvent is MonitorEvent.Updated { IsPublish: false }))
        {
            return;
        }

        try
        {
            await _listeners.TellAsync(monitorEvent, Raise, run, cancellationToken);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Stopped meanwhile: no further event.
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(CancellationToken.None);
        if (_handler is not null)
        {
            await _handler.DisposeAsync();
        }

        _listeners.Dispose();
        foreach (var owned in Owned)
        {
            owned.Dispose();
        }
    }

    /// <summary>Follows one feed, until the run is over or the feed was reset; true when it was reset.</summary>
    internal async Task<bool> FollowAsync(IChangeFeed feed, IChangeHandler handler, string? databaseId, MonitorRun run, Sequence? since, bool isGiven)
    {
        var follower = new FeedFollower(feed, handler, _options with { DatabaseId = databaseId }, _delay, TellAsync, _metrics, _time, Logger);
        _follower = follower;
        await follower.RunAsync(run, since, isGiven);
        return follower.IsFeedReset;
    }

    private Task<bool> FollowOneAsync(IChangeFeed feed, IChangeHandler handler, MonitorRun run, Sequence? since) =>
        FollowAsync(feed, handler, _options.DatabaseId, run, since is { Text: "now" } ? null : since, isGiven: !_options.EndsAtReset || since == _startsAfter);

    private async Task RunAsync(MonitorRun run, Sequence? since)
    {
        try
        {
            await _follow(run, since);
        }
        finally
        {
            run.End();
            await run.Waking;
            await run.Notices;
            await _listeners.EndAsync(() => Raise(new MonitorEvent.Ended()));
            run.Dispose();
        }
    }

    private void Raise(MonitorEvent told)
    {
        switch (told)
        {
            case MonitorEvent.Started started:
                Started?.Invoke(started);
                break;
            case MonitorEvent.Polled polled:
                Polled?.Invoke(polled);
                break;
            case MonitorEvent.Appeared appeared:
                Appeared?.Invoke(appeared);
                break;
            case MonitorEvent.Updated updated:
                Updated?.Invoke(updated);
                break;
            case MonitorEvent.Deleted deleted:
                Deleted?.Invoke(deleted);
                break;
            case MonitorEvent.Revised revised:
                Revised?.Invoke(revised);
                break;
            case MonitorEvent.Failed failed:
                Failed?.Invoke(failed);
                break;
            case MonitorEvent.Ended ended:
                Ended?.Invoke(ended);
                break;
        }
    }

    [LoggerMessage(EventIds.Following + 5, LogLevel.Error, "A listener of the monitor's events failed")]
    private static partial void LogListenerFailed(ILogger logger, Exception exception);
}
