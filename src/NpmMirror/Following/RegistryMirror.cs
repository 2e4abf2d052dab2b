using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Reconciling;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Upstream;

namespace NpmMirror.Following;

/// <summary>Finds the upstream's change feed; null when it has none. Throws <see cref="MirrorException"/> while that cannot be told.</summary>
internal delegate Task<IChangeFeed?> FindFeed(CancellationToken cancellationToken);

/// <summary>
/// A running mirror: follows the upstream's feed if it has one, sweeps if not, and empties the queue. It starts and serves
/// held packages while the upstream is away.
/// </summary>
internal sealed partial class RegistryMirror : IHostedService, IAsyncDisposable
{
    private static readonly TimeSpan NumberingPause = TimeSpan.FromSeconds(1);

    private readonly IMetadataStore _store;
    private readonly RegistryClient _upstream;
    private readonly KnownUpstream _known;
    private readonly SyncQueue _queue;
    private readonly PackageNews _news;
    private readonly PackageScope _scope;
    private readonly FindFeed _findFeed;
    private readonly MirrorOptions _options;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly NamedPackages _named;
    private readonly Reconciler _reconciler;
    private readonly ReconciliationSchedule _schedule;
    private readonly Leadership? _leadership;
    private CancellationTokenSource? _stopping;
    private IDisposable? _listening;
    private bool _isUpstreamNoted;
    private Task _running = Task.CompletedTask;

    /// <summary>Creates a mirror over an opened store.</summary>
    public RegistryMirror(
        IMetadataStore store,
        RegistryClient upstream,
        KnownUpstream known,
        SyncQueue queue,
        PackageNews news,
        PackageScope scope,
        FindFeed findFeed,
        MirrorOptions options,
        TimeProvider time,
        ILoggerFactory loggers,
        Meter? meter = null,
        bool isShared = false)
    {
        _store = store;
        _upstream = upstream;
        _known = known;
        _queue = queue;
        _news = news;
        _scope = scope;
        _findFeed = findFeed;
        _options = options;
        _time = time;
        _loggers = loggers;
        _logger = loggers.CreateLogger("NpmMirror.Mirror");
        _named = new NamedPackages(store.Packages, queue, time);
        _reconciler = new Reconciler(store, queue, scope, known, options, time, _logger);
        _schedule = new ReconciliationSchedule(store.Notes, options.Reconcile, time, _logger);
        _leadership = isShared ? new Leadership(store.Leases, store.Notes, NotedNode.OwnName, () => Monitor is { IsConnected: true }, time, _logger) : null;
        Monitor = new RegistryMonitor(FollowAsync, MonitorOptions.From(options) with { EndsAtReset = true, Meter = meter ?? Telemetry.Unread }, time, loggers.CreateLogger("NpmMirror.Monitor"));
    }

    /// <summary>The logger of this mirror, category <c>NpmMirror.Mirror</c>.</summary>
    public ILogger Logger => _logger;

    /// <summary>
    /// The monitor, one for the life of this mirror: it starts and stops with the mirror, and survives resets of the feed. Stopped by hand, it
    /// follows nothing more, while held packages are served; started again, it goes on at the mirror's place.
    /// </summary>
    public RegistryMonitor Monitor { get; }

    /// <summary>The feed's location for <c>status</c>; <c>none</c>, or null while it is not known.</summary>
    public string? FeedLocation { get; private set; }

    private bool IsFeedWanted => !_options.Feed.Equals(NoFeed, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether only the upstream's list tells which packages are wanted.</summary>
    private bool NeedsList => _scope.Mode == MetadataMode.All || _scope.HasGlobs;

    /// <summary>Starts following and working. Returns at once; trouble is logged and retried.</summary>
    /// <exception cref="InvalidOperationException">It is running already.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (_stopping is not null)
        {
            throw new InvalidOperationException("The mirror is running already.");
        }

        if (_options.Offline)
        {
            // No request is sent, and no state changes: no queue, no cursor, no monitor.
            _stopping = new CancellationTokenSource();
            LogOffline();
            return;
        }

        await RecallUpstreamAsync(cancellationToken);
        _stopping = new CancellationTokenSource();
        NoteFeedSought();
        _startedAt = _time.GetTimestamp();
        _listening = _queue.OnAttempt(TellAsync);
        _running = Task.WhenAll(_queue.RunAsync(_stopping.Token), NumberAsync(_stopping.Token));
        Monitor.Start(_options.LastSeq is { } given ? new Sequence(given) : null);
    }

    private void NoteFeedSought() => _known.Note(IsFeedWanted ? new UpstreamFeed.Seeking() : new UpstreamFeed.None());

    private ValueTask TellAsync(SyncAttempt attempt, CancellationToken cancellationToken)
    {
        if (attempt is { Result: SyncResult.Absent, IsDone: true } && _scope.IsNamed(attempt.Item.Name))
        {
            LogListedAndAbsent(attempt.Item.Name);
        }

        return new MonitorNews(_store.Packages, Monitor).TellAsync(attempt, cancellationToken);
    }

    /// <summary>Stops: finishes writes that have begun, and begins nothing more.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_stopping is not { } stopping)
        {
            return;
        }

        await stopping.CancelAsync();
        await Monitor.StopAsync(cancellationToken);
        await Task.WhenAny(_running, Task.Delay(Timeout.InfiniteTimeSpan, _time, cancellationToken));
        _listening?.Dispose();
        _stopping = null;
        stopping.Dispose();
    }

    /// <summary>The sequence up to which everything was handled; zero at first.</summary>
    public async ValueTask<Sequence> GetLastSequenceAsync(CancellationToken cancellationToken) =>
        await _store.Notes.FindNoteAsync(MirrorCursors.Handled, cancellationToken) is { } text ? new Sequence(text) : Sequence.Zero;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(CancellationToken.None);
        await Monitor.DisposeAsync();
    }

    /// <summary>
    /// The identity from an earlier run, so that packages that are read through before the feed answers are compared with the held ones. A new one is
    /// noted, also without a feed: <c>status</c> tells the upstream of each package.
    /// </summary>
    private async Task RecallUpstreamAsync(CancellationToken cancellationToken)
    {
        var known = await _store.Notes.FindNoteAsync(MirrorCursors.Upstream, cancellationToken);
        if (_known.Identity.CouldBeSame(known))
        {
            _known.Note(UpstreamIdentity.Parse(known!));
            _isUpstreamNoted = true;
            return;
        }

        await NoteUpstreamAsync(cancellationToken);
    }

    /// <summary>Until it can be written: a command without an upstream would take the one before, and mix two registries.</summary>
    private async Task NoteUpstreamAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _store.Notes.SetNoteAsync(MirrorCursors.Upstream, _known.Identity.ToString(), cancellationToken);
            _isUpstreamNoted = true;
        }
        catch (MirrorException e) when (e.Fault == MirrorFault.StoreReadOnly)
        {
            // Held packages are served all the same.
        }
    }

    /// <summary>Finds the feed. One that was followed before at this very upstream does not cease to be because of one answer: a gateway's 404 would end following for good.</summary>
    private async Task<IChangeFeed?> FindFeedAsync(CancellationToken cancellationToken)
    {
        if (await _findFeed(cancellationToken) is { } feed)
        {
            _known.Note(new UpstreamFeed.Found(feed));
            return feed;
        }

        var isSought = _options.Feed.Equals("auto", StringComparison.OrdinalIgnoreCase);
        Uri?[] places = [_upstream.BaseUrl, FeedConvention.FeedOf(_upstream.BaseUrl)];
        if (isSought && await _store.Notes.FindNoteAsync(MirrorCursors.Feed, cancellationToken) is { } known
            && places.OfType<Uri>().Select(place => UpstreamFailures.Where(place).TrimEnd('/')).FirstOrDefault(place => known.StartsWith($"{place}#", StringComparison.Ordinal)) is { } location)
        {
            throw new MirrorException(MirrorFault.UpstreamUnavailable, $"{location} had a change feed, and answers now as if it had none; set feed=none to stop looking for it.", isTransient: true);
        }

        _known.Note(new UpstreamFeed.None());
        return null;
    }

    /// <summary>Queues names listed since the last start: the feed tells nothing of them as long as they do not change.</summary>
    private async Task QueueNewlyWantedAsync(IChangeFeed feed, CancellationToken cancellationToken)
    {
        if (NeedsList)
        {
            await ReconcileAsync(feed, cancellationToken);
        }

        await _named.QueueMissingAsync(_scope.Names, cancellationToken);
        await NoteScopeAsync(cancellationToken);
    }

    /// <summary>Notes the wanted packages. If tarballs are wanted ahead since then, those of held packages are queued.</summary>
    private async Task NoteScopeAsync(CancellationToken cancellationToken)
    {
        if (await _store.Notes.FindNoteAsync(MirrorCursors.Scope, cancellationToken) == _scope.Fingerprint)
        {
            return;
        }

        if (_options.Tarballs == TarballMode.Eager)
        {
            await _named.QueueHeldAsync(cancellationToken);
        }

        await _store.Notes.SetNoteAsync(MirrorCursors.Scope, _scope.Fingerprint, cancellationToken);
    }

    private async Task QueueWithoutFeedAsync(CancellationToken cancellationToken)
    {
        if (NeedsList)
        {
            // Such a list may leave out packages that the registry serves, as a proxy does: they are asked for by name.
            await ReconcileAsync(null, cancellationToken, asksForUnlisted: true);
        }
        else
        {
            await _named.QueueHeldAsync(cancellationToken);
        }

        await _named.QueueAsync(_scope.Names, cancellationToken);
    }

    /// <summary>The comparison with the upstream's list: the feed's, or if there is none the registry's own.</summary>
    private async Task<Reconciliation> ReconcileAsync(IChangeFeed? feed, CancellationToken cancellationToken, bool asksForUnlisted = false)
    {
        var found = feed is null ? await ReconcileWithoutFeedAsync(asksForUnlisted, cancellationToken) : await ReconcileWithAsync(feed, cancellationToken);
        await _schedule.NoteNextAsync(cancellationToken);
        return found;
    }

    private async Task<Reconciliation> ReconcileWithAsync(IChangeFeed feed, CancellationToken cancellationToken)
    {
        var info = await AskAsync(feed, cancellationToken);
        return await _reconciler.RunAsync(feed, info, cancellationToken);
    }

    private async Task<Reconciliation> ReconcileWithoutFeedAsync(bool asksForUnlisted, CancellationToken cancellationToken)
    {
        try
        {
            return await _reconciler.RunAsync(new PackageList(_upstream).ReadAsync(cancellationToken), null, cancellationToken, asksForUnlisted);
        }
        catch (MirrorException e) when (e.Fault == MirrorFault.UpstreamMalformed)
        {
            throw Reconciler.NoList(_scope, e);
        }
    }

    /// <summary>The first walk, or the one after the feed changed: everything wanted is queued, then both cursors stand at the head noted before.</summary>
    private async Task SeedAsync(IChangeFeed feed, Sequence head, CancellationToken cancellationToken)
    {
        await _store.Notes.SetNoteAsync(MirrorCursors.WalkHead, head.Text, cancellationToken);
        await _store.Notes.SetNoteAsync(MirrorCursors.Trail, FeedTrail.Seeded(head, feed.LateSequences, _options.Reread.Longest, _time.GetUtcNow()), cancellationToken);
        if (NeedsList)
        {
            await ReconcileAsync(feed, cancellationToken);
        }
        else
        {
            await _named.QueueHeldAsync(cancellationToken);
        }

        await _named.QueueAsync(_scope.Names, cancellationToken);
        await NoteScopeAsync(cancellationToken);
        await _store.Notes.SetNoteAsync(MirrorCursors.Read, head.Text, cancellationToken);
        await _store.Notes.SetNoteAsync(MirrorCursors.Handled, head.Text, cancellationToken);
        await _store.Notes.SetNoteAsync(MirrorCursors.WalkHead, null, cancellationToken);
    }

    /// <summary>Numbers events on engines that do not do it inside the commit, and notes the upstream if the start could not.</summary>
    private async Task NumberAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                if (!_isUpstreamNoted)
                {
                    await NoteUpstreamAsync(cancellationToken);
                }

                await _store.Log.NumberEventsAsync(cancellationToken);
                await Task.Delay(NumberingPause, _time, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (MirrorException e)
            {
                LogNotNumbered(e.Message);
                await PauseAsync(NumberingPause * 10, cancellationToken);
            }
        }
    }

    private async Task PauseAsync(TimeSpan pause, CancellationToken cancellationToken)
    {
        try
        {
            await Task.Delay(pause, _time, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The loop's own condition ends it.
        }
    }

    [LoggerMessage(EventIds.Mirror + 14, LogLevel.Information, "Offline: serving what is held, sending no requests (offline=true)")]
    private partial void LogOffline();

    [LoggerMessage(EventIds.Mirror + 13, LogLevel.Warning, "{Package} is on the list, but the upstream has no such package")]
    private partial void LogListedAndAbsent(PackageName package);

    [LoggerMessage(EventIds.Mirror + 12, LogLevel.Warning, "Events cannot be numbered yet, so they are told later: {Reason}")]
    private partial void LogNotNumbered(string reason);
}
