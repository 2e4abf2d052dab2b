using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Upstream;

namespace NpmMirror.Monitoring;

/// <summary>
/// Follows a feed and tells what changed, as .NET events and as <c>await foreach</c>; knows no store. Errors never end it: they are
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
    private readonly IChangeHandler _handler;
    private readonly MonitorOptions _options;
    private readonly ILogger _logger;
    private readonly MonitorListeners _listeners;
    private readonly MonitorDelay _delay;
    private readonly FeedFollower _follower;
    private readonly Lock _lock = new();
    private MonitorRun? _run;

    /// <summary>Creates a monitor; it does nothing before <see cref="Start"/>.</summary>
    /// <param name="feed">What to follow.</param>
    /// <param name="handler">What happens with each page; disposed with the monitor when it can be.</param>
    /// <param name="options">How to follow.</param>
    /// <param name="time">The clock of all waits.</param>
    /// <param name="logger">Of the category <c>NpmMirror.Monitor</c>.</param>
    public RegistryMonitor(IChangeFeed feed, IChangeHandler handler, MonitorOptions options, TimeProvider time, ILogger logger)
    {
        _handler = handler;
        _options = options;
        _logger = logger;
        _listeners = new MonitorListeners(LogListenerFailed);
        _delay = new MonitorDelay(options.Delay, time);
        _follower = new FeedFollower(feed, handler, options, _delay, TellAsync, time, logger);
    }

    /// <summary>Creates a monitor inside a mirror: it ends when the feed was reset, for the mirror to compare everything first.</summary>
    /// <param name="feed">What to follow.</param>
    /// <param name="handler">What happens with each page.</param>
    /// <param name="options">The mirror's.</param>
    /// <param name="databaseId">Which life of the feed's database it is to go on in; null when that is not known.</param>
    /// <param name="time">The clock of all waits.</param>
    /// <param name="logger">Of the category <c>NpmMirror.Monitor</c>.</param>
    internal RegistryMonitor(IChangeFeed feed, IChangeHandler handler, MirrorOptions options, string? databaseId, TimeProvider time, ILogger logger)
        : this(feed, handler, MonitorOptions.From(options) with { EndsAtReset = true, DatabaseId = databaseId }, time, logger)
    {
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

    /// <summary>Whether the last request for changes was accepted and nothing failed since.</summary>
    public bool IsConnected => _follower.IsConnected;

    /// <summary>Whether it was started and not stopped since.</summary>
    public bool IsRunning => Volatile.Read(ref _run) is { IsOver: false };

    /// <summary>Whether anybody listens to events that carry metadata, so that reading it is worth while.</summary>
    public bool IsObserved => _listeners.ReaderCount > 0 || Appeared is not null || Updated is not null;

    /// <summary>How many readers hear the events.</summary>
    internal int ReaderCount => _listeners.ReaderCount;

    /// <summary>Whether it ended because the feed's sequences jumped back, or its database became another one.</summary>
    public bool IsFeedReset => _follower.IsFeedReset;

    /// <summary>Up to where everything was told; null before that is known. Pass it to <see cref="Start"/> to go on there.</summary>
    public Sequence? LastSequence => _follower.LastSequence;

    /// <summary>How long to wait at the feed's head; may be changed at any time, and a wait under way obeys at once.</summary>
    public TimeSpan Delay
    {
        get => _delay.Value;
        set => _delay.Value = value;
    }

    /// <summary>A monitor without a store: it fetches each changed package and tells of it.</summary>
    public static RegistryMonitor Bare(IChangeFeed feed, RegistryClient client, MonitorOptions options, int concurrency, TimeProvider time, ILogger logger)
    {
        client.Feed = feed;
        return new RegistryMonitor(feed, new FetchingHandler(client, concurrency, time), options, time, logger);
    }

    /// <summary>
    /// Starts following behind a sequence (<c>0</c>: everything, <c>now</c>: the head). Null: where the options say, else from the head.
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

            var from = since ?? (_options.LastSeq is { } text ? new Sequence(text) : null);
            // A run that is still ending is waited for: there are never two loops.
            var before = _run?.Task ?? Task.CompletedTask;
            var run = new MonitorRun();
            _run = run;
            run.Task = Task.Run(async () =>
            {
                await before;
                await RunAsync(run, from is { Text: "now" } ? null : from);
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
    /// What the monitor tells from now on, until it ends. A reader that is slow makes the monitor slow: events wait, they are not piled
    /// up. Several may read; each gets everything.
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
            await _listeners.TellAsync(monitorEvent, Raise, () => !run.IsOver, run.Stopping, cancellationToken);
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
        if (_handler is IAsyncDisposable disposable)
        {
            await disposable.DisposeAsync();
        }

        _listeners.Dispose();
    }

    private async Task RunAsync(MonitorRun run, Sequence? since)
    {
        try
        {
            await _follower.RunAsync(run, since);
        }
        finally
        {
            run.Stop();
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

    [LoggerMessage(EventIds.Monitoring + 5, LogLevel.Error, "A listener of the monitor's events failed")]
    private partial void LogListenerFailed(Exception exception);
}
