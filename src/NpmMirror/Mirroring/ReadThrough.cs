using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.History;
using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

/// <summary>What a reader gets for a name.</summary>
public abstract record ReadAnswer
{
    private ReadAnswer()
    {
    }

    /// <summary>The package's row as stored; one of the graveyard only where <c>removed</c> says keep.</summary>
    public sealed record Found(PackageRow Row) : ReadAnswer;

    /// <summary>There is none: 404, or 451 for a blocked one; the reason is for the client's user.</summary>
    /// <param name="Status">404 or 451.</param>
    /// <param name="Reason">A sentence.</param>
    /// <param name="Removed">The row of a package that was removed, where this is why.</param>
    public sealed record Absent(int Status, string Reason, PackageRow? Removed = null) : ReadAnswer;
}

/// <summary>
/// Finds packages for readers: from the store when held (revalidated behind the answer where no feed tells of changes), else fetched
/// through <see cref="PackageSync"/>, one fetch a package however many wait. A reader that leaves does not cancel it.
/// </summary>
public sealed partial class ReadThrough : IAsyncDisposable
{
    private static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(30);

    private readonly IMetadataStore _store;
    private readonly PackageSync _sync;
    private readonly SyncQueue _queue;
    private readonly PackageScope _scope;
    private readonly MirrorOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<ReadThrough> _logger;
    private readonly Freshness _freshness;
    private readonly NegativeAnswers _negatives;
    private readonly ConcurrentDictionary<PackageName, Lazy<Task<ReadAnswer>>> _fetches = new();
    private readonly ConcurrentDictionary<PackageName, Task> _revalidations = new();
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Creates the read-through; one per store and process.</summary>
    public ReadThrough(IMetadataStore store, PackageSync sync, SyncQueue queue, PackageScope scope, MirrorOptions options, TimeProvider time, ILogger<ReadThrough> logger)
    {
        _store = store;
        _sync = sync;
        _queue = queue;
        _scope = scope;
        _options = options;
        _time = time;
        _logger = logger;
        _freshness = new Freshness(options.Ttl, time);
        _negatives = new NegativeAnswers(options.NegativeTtl, time);
        sync.Committed += _negatives.Forget;
        sync.Compared += _freshness.Note;
    }

    /// <summary>Whether a live feed tells of every change, so that nothing held needs to be asked for by age. Cheap: asked for with each answer.</summary>
    public Func<bool> IsFollowed { get; set; } = static () => false;

    /// <summary>Finds the package, fetching it when it is not held and the mode allows.</summary>
    /// <exception cref="MirrorException">Not held, and the upstream is in trouble or did not answer within 30 s.</exception>
    public async ValueTask<ReadAnswer> FindAsync(PackageName name, CancellationToken cancellationToken)
    {
        if (await _store.FindAsync(name, cancellationToken) is { } row)
        {
            RevalidateIfStale(row);
            return AnswerOf(row);
        }

        if (!_scope.IsReadThrough(name))
        {
            return new ReadAnswer.Absent(404, $"{name} is not on this mirror's list (metadata=listed); its operator can add it to the option list.");
        }

        return _negatives.Find(name) is { } known ? new ReadAnswer.Absent(known.Status, known.Reason) : await FetchAsync(name, cancellationToken);
    }

    /// <summary>Starts a comparison with the upstream behind the answer, when the row is older than its time to live and no feed tells of changes. Cheap when not.</summary>
    public void RevalidateIfStale(PackageRow row)
    {
        if (IsFollowed() || _freshness.IsFresh(row) || _stopping.IsCancellationRequested || _revalidations.Count >= _options.Concurrency * 4)
        {
            return;
        }

        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_revalidations.TryAdd(row.Name, begun.Task))
        {
            // Also after trouble: an upstream that is down is asked once per time to live and package, not once per request.
            _freshness.Note(row.Name);
            _ = RevalidateAsync(row.Name, begun);
        }
    }

    /// <summary>Fetches now, for an administrator, whatever is held or remembered.</summary>
    /// <exception cref="MirrorException">Upstream or store trouble.</exception>
    public async Task<SyncResult> RefreshAsync(PackageName name, CancellationToken cancellationToken)
    {
        _negatives.Forget(name);
        var attempt = await AttemptAsync(name, cancellationToken);
        return attempt.Result ?? throw attempt.Error!;
    }

    /// <summary>Forgets that the upstream did not have the package: a feed row names it.</summary>
    public void ForgetAbsence(PackageName name) => _negatives.Forget(name);

    /// <summary>Ends what runs behind answers.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync();
        var running = _revalidations.Values.Concat(_fetches.Values.Where(f => f.IsValueCreated).Select(f => (Task)f.Value));
        await Task.WhenAny(Task.WhenAll(running), Task.Delay(TimeSpan.FromSeconds(5), _time, CancellationToken.None));
        _stopping.Dispose();
    }

    private ReadAnswer AnswerOf(PackageRow row)
    {
        var facts = row.Facts;
        if (!facts.IsRemoved || _options.Removed.ModeOf(facts.Removal!.Value) == RemovedMode.Keep)
        {
            return new ReadAnswer.Found(row);
        }

        return facts.Removal == RemovalKind.Blocked
            ? new ReadAnswer.Absent(451, $"{row.Name} is blocked upstream for legal reasons{Because(facts.RemovalReason)}; it was held until {facts.StoredAt:yyyy-MM-dd}.", row)
            : new ReadAnswer.Absent(404, $"{row.Name} was removed upstream{Because(facts.RemovalReason)}; this mirror hides it since {facts.StoredAt:yyyy-MM-dd}.", row);
    }

    private static string Because(string? reason) => reason is null ? "" : $" ({reason})";

    private async Task<ReadAnswer> FetchAsync(PackageName name, CancellationToken cancellationToken)
    {
        // Whoever comes while a fetch runs shares it; the fetch belongs to nobody, so that one that leaves does not cancel it.
        var fetch = _fetches.GetOrAdd(name, _ => new Lazy<Task<ReadAnswer>>(() => Task.Run(() => FetchSharedAsync(name))));
        try
        {
            return await fetch.Value.WaitAsync(WaitMax, _time, cancellationToken);
        }
        catch (TimeoutException e)
        {
            throw new MirrorException(MirrorFault.UpstreamUnavailable, $"The upstream did not answer for {name} within {WaitMax.TotalSeconds:0} s; the fetch goes on, try again.", true, TimeSpan.FromSeconds(5), e);
        }
    }

    private async Task<ReadAnswer> FetchSharedAsync(PackageName name)
    {
        try
        {
            var attempt = await AttemptAsync(name, _stopping.Token);
            return attempt.Result switch
            {
                SyncResult.Stored stored => AnswerOf(stored.Row),
                SyncResult.Unchanged unchanged => AnswerOf(unchanged.Row),
                SyncResult.Removed removed => AnswerOf(removed.Row),
                SyncResult.Absent absent => Remember(name, absent),
                _ => throw attempt.Error!,
            };
        }
        finally
        {
            _fetches.TryRemove(name, out _);
        }
    }

    /// <summary>Queues the package and tries it here and now; where a worker or another process has it, waits for that.</summary>
    private async Task<SyncAttempt> AttemptAsync(PackageName name, CancellationToken cancellationToken)
    {
        var next = _queue.NextAttemptAsync(name);

        // The wish is durable before the fetch begins: a feed row that passes meanwhile finds it and is not skipped.
        await _queue.EnqueueAsync([Wish(name)], null, cancellationToken);
        if (await _queue.TryNowAsync(name, cancellationToken) is { } own)
        {
            return own;
        }

        var begun = _time.GetTimestamp();
        while (_time.GetElapsedTime(begun) < WaitMax)
        {
            await Task.WhenAny(next, Task.Delay(TimeSpan.FromMilliseconds(250), _time, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
            if (next.IsCompletedSuccessfully)
            {
                return await next;
            }

            // Another process may have done it; it does not tell this one.
            if (await _store.FindAsync(name, cancellationToken) is { } row)
            {
                return new SyncAttempt(Wish(name), new SyncResult.Unchanged(row), null, true);
            }

            if (await _store.FindQueuedAsync(name, cancellationToken) is null)
            {
                await _queue.EnqueueAsync([Wish(name)], null, cancellationToken);
            }

            if (await _queue.TryNowAsync(name, cancellationToken) is { } late)
            {
                return late;
            }
        }

        throw new MirrorException(MirrorFault.UpstreamUnavailable, $"{name} is being fetched by another process that has not finished; try again.", true, TimeSpan.FromSeconds(5));
    }

    private ReadAnswer.Absent Remember(PackageName name, SyncResult.Absent absent)
    {
        var reason = absent.Reason is null ? $"The upstream has no package {name}." : $"The upstream has no package {name}: {absent.Reason}";
        _negatives.Add(name, absent.Status == 451 ? 451 : 404, reason);
        return new ReadAnswer.Absent(absent.Status == 451 ? 451 : 404, reason);
    }

    private async Task RevalidateAsync(PackageName name, TaskCompletionSource begun)
    {
        try
        {
            var result = await _sync.SyncAsync(name, null, _stopping.Token);
            if (result.RetryBecause is not null)
            {
                // Not to be believed yet: the queue asks again, and remembers since when.
                var wanted = result is SyncResult.Unchanged unchanged && result.MissingSince is null ? unchanged.Row.Facts.Rev : null;
                var item = Wish(name) with { Priority = QueuePriority.Change, WantedRev = wanted, MissingSince = result.MissingSince, DueAt = _time.GetUtcNow() + TimeSpan.FromMinutes(1) };
                await _queue.EnqueueAsync([item], null, _stopping.Token);
            }
        }
        catch (MirrorException e)
        {
            // Stale if error: what is held was served already.
            LogNotRevalidated(name, e.Message);
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
        }
        finally
        {
            _revalidations.TryRemove(name, out _);
            begun.SetResult();
        }
    }

    private QueueItem Wish(PackageName name)
    {
        var now = _time.GetUtcNow();
        return new QueueItem { Name = name, Priority = QueuePriority.ReadThrough, DueAt = now, QueuedAt = now };
    }

    [LoggerMessage(EventIds.Mirroring + 6, LogLevel.Debug, "Package {Package} could not be compared with the upstream and is served as held: {Reason}")]
    private partial void LogNotRevalidated(PackageName package, string reason);
}
