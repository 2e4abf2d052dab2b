using NpmMirror.Storage;

namespace NpmMirror.Postgres;

/// <summary>Writes the commits of this process: what waits while one transaction runs makes the next one, so that many packages share one sync of the server's disk.</summary>
/// <param name="write">Writes commits of different packages in one transaction.</param>
internal sealed class CommitGroups(Func<IReadOnlyList<PackageCommit>, CancellationToken, ValueTask<IReadOnlyList<CommitResult>>> write) : IAsyncDisposable
{
    private const int WaitingMax = 1024;
    private const int GroupMax = 64;
    private const long GroupMaxBytes = 16 * 1024 * 1024;

    private readonly SemaphoreSlim _slots = new(WaitingMax);
    private readonly Queue<Job> _waiting = [];
    private readonly Lock _lock = new();
    private Task? _writing;
    private bool _isEnded;

    internal async ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken)
    {
        await _slots.WaitAsync(cancellationToken);
        try
        {
            var job = new Job(commit, cancellationToken);
            lock (_lock)
            {
                ObjectDisposedException.ThrowIf(_isEnded, typeof(PostgresStore));
                _waiting.Enqueue(job);
                _writing ??= Task.Run(WriteAllAsync, CancellationToken.None);
            }

            await using var left = cancellationToken.Register(job.Leave);
            return await job.Done.Task;
        }
        finally
        {
            _slots.Release();
        }
    }

    /// <summary>Finishes what waits.</summary>
    public async ValueTask DisposeAsync()
    {
        Task? writing;
        lock (_lock)
        {
            (_isEnded, writing) = (true, _writing);
        }

        // The slots stay: callers that have just been answered still give theirs back.
        await (writing ?? Task.CompletedTask);
    }

    private async Task WriteAllAsync()
    {
        while (TakeGroup() is { } group)
        {
            await WriteAsync(group);
        }
    }

    /// <summary>What waits, as far as it fits; null, and the writer has ended, where nothing does.</summary>
    private List<Job>? TakeGroup()
    {
        lock (_lock)
        {
            var group = new List<Job>();
            var names = new HashSet<PackageName>();
            var sizeBytes = 0L;
            while (group.Count < GroupMax && _waiting.TryPeek(out var job) && (group.Count == 0 || (sizeBytes + job.SizeBytes <= GroupMaxBytes && !names.Contains(job.Commit.Name))))
            {
                _waiting.Dequeue();
                if (job.TryBegin())
                {
                    group.Add(job);
                    names.Add(job.Commit.Name);
                    sizeBytes += job.SizeBytes;
                }
            }

            if (group.Count == 0)
            {
                _writing = null;
                return null;
            }

            return group;
        }
    }

    private async Task WriteAsync(List<Job> group)
    {
        try
        {
            var results = await write([.. group.Select(job => job.Commit)], group.Count == 1 ? group[0].Token : CancellationToken.None);
            for (var i = 0; i < group.Count; i++)
            {
                group[i].Done.TrySetResult(results[i]);
            }
        }
        catch (Exception e) when (group.Count > 1 && e is not (MirrorException { IsTransient: true } or ObjectDisposedException))
        {
            // One of them is at fault: alone, each answers for itself.
            foreach (var job in group)
            {
                await WriteAsync([job]);
            }
        }
        catch (OperationCanceledException e)
        {
            group.ForEach(job => job.Done.TrySetCanceled(e.CancellationToken));
        }
        catch (Exception e)
        {
            group.ForEach(job => job.Done.TrySetException(e));
        }
    }

    /// <summary>A commit that waits.</summary>
    private sealed class Job(PackageCommit commit, CancellationToken token)
    {
        private int _isBegunOrLeft;

        internal PackageCommit Commit { get; } = commit;

        internal CancellationToken Token { get; } = token;

        internal TaskCompletionSource<CommitResult> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal long SizeBytes { get; } = (commit.Document?.Bytes.Length ?? 0) + commit.Index.Length + commit.Events.Sum(pending => (long)pending.Payload.Length);

        internal bool TryBegin() => Interlocked.Exchange(ref _isBegunOrLeft, 1) == 0;

        /// <summary>Work that has begun is finished; its caller's buffers are read until then.</summary>
        internal void Leave()
        {
            if (TryBegin())
            {
                Done.TrySetCanceled(Token);
            }
        }
    }
}
