using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Upstream;
using NpmMirror.Visibility;

namespace NpmMirror.Syncing;

/// <summary>The answer to a reader of a name.</summary>
internal abstract record ReadAnswer
{
    private ReadAnswer()
    {
    }

    /// <summary>The package's row as stored; one of the graveyard only where <c>removed</c> says keep.</summary>
    public sealed record Found(PackageRow Row) : ReadAnswer;

    /// <summary>There is none: 404, or 451 for a blocked one; the reason is for the client's user.</summary>
    /// <param name="Status">404 or 451.</param>
    /// <param name="Reason">A sentence.</param>
    /// <param name="Removed">The row of a removed package, if that is the reason.</param>
    public sealed record Absent(int Status, string Reason, PackageRow? Removed = null) : ReadAnswer;
}

/// <summary>
/// Finds packages for readers: from the store when held (compared with the upstream by age, if no feed tells of changes), else fetched
/// through <see cref="PackageSync"/>, one fetch a package however many wait. A reader that leaves does not cancel it.
/// </summary>
internal sealed class ReadThrough : IAsyncDisposable
{
    private const int FetchesMax = 10_000;

    private static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(30);

    private readonly IMetadataStore _store;
    private readonly StoreMetrics _measured;
    private readonly SyncQueue _queue;
    private readonly PackageScope _scope;
    private readonly MirrorOptions _options;
    private readonly TimeProvider _time;
    private readonly Freshness _freshness;
    private readonly UpstreamLooks _looks;
    private readonly Revalidation _revalidation;
    private readonly VersionSearch _versions;
    private readonly NegativeAnswers _negatives;
    private readonly VisibilityRules _visibility;
    private readonly SingleFlight<PackageName, ReadAnswer> _fetches;
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Creates the read-through; one per store and process.</summary>
    /// <param name="store">The store of packages.</param>
    /// <param name="sync">Fetches packages.</param>
    /// <param name="queue">Queues the requests of clients first.</param>
    /// <param name="scope">The mirrored packages.</param>
    /// <param name="isFollowed">Whether a live feed tells of every change, so that no held package needs a comparison by age. Cheap: called with each answer.</param>
    /// <param name="options">The limits on the age of served documents.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Logs failed comparisons.</param>
    /// <param name="meter">The meter of the store's durations.</param>
    public ReadThrough(IMetadataStore store, PackageSync sync, SyncQueue queue, PackageScope scope, Func<bool> isFollowed, MirrorOptions options, TimeProvider time, ILogger<ReadThrough> logger, Meter? meter = null)
    {
        _store = store;
        _measured = new StoreMetrics(meter ?? Telemetry.Unread, time);
        _queue = queue;
        _scope = scope;
        _options = options;
        _time = time;
        _fetches = new SingleFlight<PackageName, ReadAnswer>("fetches", FetchesMax, time, meter);
        _freshness = new Freshness(sync.News, options.Ttl, time, meter);
        _looks = new UpstreamLooks(sync, queue, _freshness, options, time, logger, meter);
        _revalidation = new Revalidation(_looks, _freshness, isFollowed, options, time);
        _versions = new VersionSearch(store.Packages, _looks, _freshness, options, time, meter);
        _visibility = new VisibilityRules(options.Removed);
        _negatives = new NegativeAnswers(sync.News, options.NegativeTtl, time, meter);
    }

    /// <summary>
    /// Finds the package, fetching it when it is not held and the mode allows. One that is older than its time to live, if no feed tells of
    /// changes, is compared with the upstream first; that is waited for as long as <see cref="MirrorOptions.RevalidateWait"/> says.
    /// </summary>
    /// <exception cref="MirrorException">Not held, and the upstream is in trouble or did not answer within 30 s.</exception>
    public async ValueTask<ReadAnswer> FindAsync(PackageName name, CancellationToken cancellationToken)
    {
        var noted = _freshness.NoteCount;
        if (await _measured.MeasureAsync("find", () => _store.Packages.FindAsync(name, cancellationToken)) is { } row)
        {
            // A look that ended while the row was read made it fresh, and may have made it another one.
            var isOld = await _revalidation.CompareAsync(row, cancellationToken) || _freshness.NoteCount != noted;
            return AnswerOf(isOld ? await _store.Packages.FindAsync(name, cancellationToken) ?? row : row);
        }

        if (!_scope.IsReadThrough(name))
        {
            return new ReadAnswer.Absent(404, $"{name} is not on this mirror's list (metadata=listed); its operator can add it to the option list.");
        }

        if (_options.Offline)
        {
            throw UpstreamFailures.Offline($"The package {name}");
        }

        return _negatives.Find(name) is { } known ? new ReadAnswer.Absent(known.Status, known.Reason) : await FetchAsync(name, cancellationToken);
    }

    /// <summary>Whether a row from memory may be served without <see cref="FindAsync"/>. Cheap: asked for with each answer.</summary>
    public bool IsServable(PackageRow row) => _revalidation.IsServable(row);

    /// <summary>Looks upstream for a version, a tag or a tarball's file that a held packument lacks. True: search again in the held one; false: there is none.</summary>
    /// <param name="searched">The package as it was searched.</param>
    /// <param name="item">The version, the tag or the file's name.</param>
    /// <param name="askedAt">When the client's request came, by the mirror's clock.</param>
    /// <param name="cancellationToken">Ends the wait; the look goes on.</param>
    /// <exception cref="MirrorException">The upstream is in trouble, so that it is not known whether it has the item.</exception>
    public Task<bool> LookForAsync(PackageRow searched, string item, long askedAt, CancellationToken cancellationToken) => _options.Offline
        ? throw UpstreamFailures.Offline($"{MirrorException.Quote(item)} of {searched.Name}")
        : _versions.LookAsync(searched, item, askedAt, cancellationToken);

    /// <summary>Fetches now, for an administrator, without regard to held or remembered documents: no "not modified" and no cache is believed.</summary>
    /// <exception cref="MirrorException">Upstream or store trouble.</exception>
    public async Task<SyncResult> RefreshAsync(PackageName name, CancellationToken cancellationToken)
    {
        if (_options.Offline)
        {
            throw UpstreamFailures.Offline();
        }

        _negatives.Forget(name);
        var attempt = await AttemptAsync(name, QueuePriority.Demand, cancellationToken);
        return attempt.Result ?? throw attempt.Error!;
    }

    /// <summary>Ends the work in the background.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync();
        await _looks.DisposeAsync();
        await _fetches.WaitForLastAsync();
        _stopping.Dispose();
    }

    private ReadAnswer AnswerOf(PackageRow row) => _visibility.Of(row) is { } hidden ? new ReadAnswer.Absent(hidden.Status, hidden.Reason, row) : new ReadAnswer.Found(row);

    private async Task<ReadAnswer> FetchAsync(PackageName name, CancellationToken cancellationToken)
    {
        var fetch = _fetches.Join(name, () => FetchSharedAsync(name));
        try
        {
            return await fetch.Result.WaitAsync(WaitMax, _time, cancellationToken);
        }
        catch (TimeoutException e)
        {
            throw new MirrorException(MirrorFault.UpstreamUnavailable, $"The upstream did not answer for {name} within {WaitMax.TotalSeconds:0} s; the fetch goes on, try again.", true, TimeSpan.FromSeconds(5), e);
        }
    }

    private async Task<ReadAnswer> FetchSharedAsync(PackageName name)
    {
        var attempt = await AttemptAsync(name, QueuePriority.ReadThrough, _stopping.Token);
        return attempt.Result switch
        {
            SyncResult.Stored stored => AnswerOf(stored.Row),
            SyncResult.Unchanged unchanged => AnswerOf(unchanged.Row),
            SyncResult.Removed removed => AnswerOf(removed.Row),
            SyncResult.Absent absent => Remember(name, absent),
            _ => throw attempt.Error!,
        };
    }

    /// <summary>Queues the package and tries it here and now; where a worker or another process has it, waits for that.</summary>
    private async Task<SyncAttempt> AttemptAsync(PackageName name, QueuePriority priority, CancellationToken cancellationToken)
    {
        var wish = new QueueItem { Name = name, Priority = priority, DueAt = _time.GetUtcNow(), QueuedAt = _time.GetUtcNow() };
        var before = await _store.Packages.FindAsync(name, cancellationToken);
        var next = _queue.NextAttemptAsync(name);

        // The client's request is durable before the fetch begins: a feed row that passes meanwhile finds it and is not skipped.
        await _queue.EnqueueAsync([wish], null, cancellationToken);
        if (await _queue.TryNowAsync(name, cancellationToken) is { } own)
        {
            return own;
        }

        // A worker has it, and perhaps waits for its turn.
        _queue.Hurry(name);
        var begun = _time.GetTimestamp();
        while (_time.GetElapsedTime(begun) < WaitMax)
        {
            await Task.WhenAny(next, Task.Delay(TimeSpan.FromMilliseconds(250), _time, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
            if (next.IsCompletedSuccessfully)
            {
                var attempt = await next;
                if (attempt.Item.Priority <= priority)
                {
                    return attempt;
                }

                // It was begun before, and may have believed a document that this one must not believe.
                next = _queue.NextAttemptAsync(name);
            }

            // Another process may have done it; it does not tell this one.
            if (await FindOthersAsync(wish, before, cancellationToken) is { } others)
            {
                return new SyncAttempt(wish, others, null, true);
            }

            if (await _queue.TryNowAsync(name, cancellationToken) is { } late)
            {
                return late;
            }
        }

        throw new MirrorException(MirrorFault.UpstreamUnavailable, $"{name} is being fetched by another process that has not finished; try again.", true, TimeSpan.FromSeconds(5));
    }

    /// <summary>The result of another process, or null while it is not done. A client takes the row as soon as there is one; an administrator waits until the request was handled.</summary>
    private async Task<SyncResult?> FindOthersAsync(QueueItem wish, PackageRow? before, CancellationToken cancellationToken)
    {
        var isQueued = await _store.Queue.FindQueuedAsync(wish.Name, cancellationToken) is not null;
        var row = await _store.Packages.FindAsync(wish.Name, cancellationToken);
        if (wish.Priority != QueuePriority.Demand)
        {
            if (row is null && !isQueued)
            {
                await _queue.EnqueueAsync([wish], null, cancellationToken);
            }

            return row is null ? null : new SyncResult.Unchanged(row);
        }

        return isQueued ? null
            : row is null ? new SyncResult.Absent(404, null)
            : row.Generation == before?.Generation ? new SyncResult.Unchanged(row)
            : new SyncResult.Stored(row, before is null, []);
    }

    private ReadAnswer.Absent Remember(PackageName name, SyncResult.Absent absent)
    {
        var reason = absent.Reason is null ? $"The upstream has no package {name}." : $"The upstream has no package {name}: {absent.Reason}";
        _negatives.Add(name, absent.Status == 451 ? 451 : 404, reason);
        return new ReadAnswer.Absent(absent.Status == 451 ? 451 : 404, reason);
    }
}
