using System.Collections.Concurrent;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>
/// Empties the queue once and counts, for <c>sync</c>. Failures are tried again a few times, then left queued and named. With packages
/// that were asked for by name it tries and tells just these: the rest of the queue waits for other processes.
/// </summary>
internal sealed class CatchUp(IMetadataStore store, SyncQueue queue, TimeProvider time)
{
    private const int AttemptsMax = 5;

    private const string NotThere = "The upstream has no such package.";

    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(250);

    private readonly ConcurrentDictionary<PackageName, string> _failures = new();
    private readonly ConcurrentDictionary<PackageName, bool> _doubts = new();
    private readonly ConcurrentDictionary<PackageName, long> _expected = new();
    private readonly HashSet<PackageName> _named = [];
    private readonly HashSet<PackageName> _wanted = [];

    // Tried without being finished: failing, or written although something of them is missing yet. Each package is counted once.
    private readonly ConcurrentDictionary<PackageName, bool> _failing = new();
    private readonly ConcurrentDictionary<PackageName, bool> _writtenUnfinished = new();
    private readonly TarballProgress _tarballsBefore = queue.Tarballs;
    private long _done;
    private int _changed;
    private int _unchanged;
    private int _removed;
    private long _rawBytes;

    /// <summary>
    /// Notes the packages that were asked for by name, and their state before the run: one that another process fetches is told by its row
    /// afterwards, and one that is not there then is a failure, since it was named.
    /// </summary>
    public async Task ExpectAsync(IEnumerable<PackageName> packages, CancellationToken cancellationToken)
    {
        foreach (var name in packages)
        {
            _named.Add(name);
            _wanted.Add(name);
            _expected[name] = (await store.Packages.FindAsync(name, cancellationToken))?.Generation ?? 0;
        }
    }

    /// <summary>Notes the names that the operator listed: one that the upstream does not have is a failure, and nothing else is left out for them.</summary>
    public void Want(IEnumerable<PackageName> listed) => _wanted.UnionWith(listed);

    /// <summary>Counts one try.</summary>
    public void Count(SyncAttempt attempt)
    {
        var name = attempt.Item.Name;
        _expected.TryRemove(name, out _);
        NoteDoubt(name, attempt.Result?.MissingSince);
        if (attempt.IsDone)
        {
            _failing.TryRemove(name, out _);
            Interlocked.Increment(ref _done);
        }
        else
        {
            _failing[name] = true;
        }

        if (!attempt.IsDone)
        {
            _failures[name] = attempt.Error?.Message ?? attempt.Result!.RetryBecause!;
        }
        else if (attempt.Error is not null)
        {
            _failures[name] = attempt.Error.Message;
        }
        else
        {
            _failures.TryRemove(name, out _);
        }

        switch (attempt.Result)
        {
            case SyncResult.Absent or SyncResult.Removed or SyncResult.Unchanged { Row.Facts.IsRemoved: true } when attempt.IsDone && _wanted.Contains(name):
                _failures[name] = NotThere;
                break;
            case SyncResult.Stored stored:
                Interlocked.Add(ref _rawBytes, stored.Row.RawSizeBytes);
                CountWritten(name, attempt.IsDone);
                break;
            case SyncResult.Removed:
                Interlocked.Increment(ref _removed);
                break;
            case not null when attempt.IsDone && !_writtenUnfinished.TryRemove(name, out _):
                Interlocked.Increment(ref _unchanged);
                break;
        }
    }

    private void CountWritten(PackageName name, bool isDone)
    {
        var isCounted = isDone ? _writtenUnfinished.TryRemove(name, out _) : !_writtenUnfinished.TryAdd(name, true);
        if (!isCounted)
        {
            Interlocked.Increment(ref _changed);
        }
    }

    /// <summary>Works until nothing is left that another try soon could mend.</summary>
    public async Task<SyncSummary> RunAsync(IProgress<SyncProgress>? progress, CancellationToken cancellationToken)
    {
        while (true)
        {
            // Also when cancelled: leased items are given back by then.
            await ReportUntilAsync(_named.Count > 0 ? queue.DrainAsync(_named, cancellationToken) : queue.DrainAsync(cancellationToken), progress, cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            progress?.Report(await ProgressAsync(cancellationToken));
            if (await NextRetryAsync(cancellationToken) is not { } due)
            {
                await CountOthersAsync(cancellationToken);
                await FindMissingAsync(cancellationToken);
                return new SyncSummary(_changed, _unchanged, _removed, new Dictionary<PackageName, string>(_failures), _rawBytes) { InDoubt = _doubts.Count };
            }

            var pause = due - time.GetUtcNow();
            await ReportUntilAsync(Task.Delay(pause > ReportEvery ? pause : ReportEvery, time, cancellationToken), progress, cancellationToken);
        }
    }

    private async Task ReportUntilAsync(Task done, IProgress<SyncProgress>? progress, CancellationToken cancellationToken)
    {
        while (await Task.WhenAny(done, Task.Delay(ReportEvery, time, CancellationToken.None)) != done)
        {
            if (!cancellationToken.IsCancellationRequested)
            {
                progress?.Report(await ProgressAsync(CancellationToken.None));
            }
        }

        await done;
    }

    private void NoteDoubt(PackageName name, DateTimeOffset? missingSince)
    {
        if (missingSince is not null)
        {
            _doubts[name] = true;
        }
        else
        {
            _doubts.TryRemove(name, out _);
        }
    }

    private async Task CountOthersAsync(CancellationToken cancellationToken)
    {
        foreach (var (name, generation) in _expected)
        {
            var row = await store.Packages.FindAsync(name, cancellationToken);
            if (row is null or { Facts.IsRemoved: true })
            {
                continue;
            }

            if (row.Generation == generation)
            {
                _unchanged++;
            }
            else
            {
                _changed++;
                _rawBytes += row.RawSizeBytes;
            }
        }
    }

    /// <summary>Also packages that another process has found missing, while the two shared the queue.</summary>
    private async Task FindMissingAsync(CancellationToken cancellationToken)
    {
        foreach (var name in _wanted.Where(name => !_failures.ContainsKey(name)))
        {
            if (await store.Packages.FindAsync(name, cancellationToken) is null or { Facts.IsRemoved: true })
            {
                _failures.TryAdd(name, NotThere);
            }
        }
    }

    /// <summary>
    /// When the next item that failed only a few times is due; null if there is none. Items of another process count too: the
    /// two share the queue, and this one is not done before they are.
    /// </summary>
    private async Task<DateTimeOffset?> NextRetryAsync(CancellationToken cancellationToken)
    {
        DateTimeOffset? next = null;
        await foreach (var item in ListQueuedAsync(cancellationToken))
        {
            if (item.LastError is { } error)
            {
                _failures[item.Name] = error;
                _failing[item.Name] = true;
                NoteDoubt(item.Name, item.MissingSince);
            }

            // A first 404 of a held package is asked again in minutes: not within this run.
            if (item.Attempts < AttemptsMax && item.MissingSince is null && (next is null || item.DueAt < next))
            {
                next = item.DueAt;
            }
        }

        return next;
    }

    private IAsyncEnumerable<QueueItem> ListQueuedAsync(CancellationToken cancellationToken) => _named.Count == 0
        ? store.Queue.ListQueuedAsync(cancellationToken)
        : _named.ToAsyncEnumerable().Select((name, token) => store.Queue.FindQueuedAsync(name, token)).OfType<QueueItem>();

    private async Task<SyncProgress> ProgressAsync(CancellationToken cancellationToken)
    {
        var (done, failing) = (Interlocked.Read(ref _done), (long)_failing.Count);
        var left = _named.Count > 0 ? _named.Count - done - failing : (await store.CountAsync(cancellationToken)).Queued - failing;
        var tarballs = queue.Tarballs;
        return new SyncProgress(done, Math.Max(0, left), failing, Interlocked.Read(ref _rawBytes))
        {
            Tarballs = tarballs.Fetched - _tarballsBefore.Fetched,
            TarballBytes = tarballs.FetchedBytes - _tarballsBefore.FetchedBytes,
            TarballsLeft = tarballs.Left,
        };
    }
}

/// <summary>How far tarballs have come since the process began.</summary>
/// <param name="Fetched">Fetched and stored.</param>
/// <param name="FetchedBytes">The bytes that came, also of those that are still arriving.</param>
/// <param name="Left">Being fetched ahead, or waiting for it.</param>
internal readonly record struct TarballProgress(long Fetched, long FetchedBytes, long Left);
