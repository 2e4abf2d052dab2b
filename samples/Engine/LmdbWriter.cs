using System.Collections.Concurrent;
using LightningDB;

namespace Engine;

/// <summary>
/// The one writer of this process: a thread that gathers waiting writes into one transaction, so that many share one sync of the disk. LMDB lets one process
/// write at a time; the others wait for its lock, which ends with a process that dies.
/// </summary>
internal sealed class LmdbWriter : IDisposable
{
    private const int WaitingMax = 1024;
    private const int GroupMax = 256;
    private const long GroupMaxBytes = 32 << 20;
    private readonly LmdbFile _file;
    private readonly BlockingCollection<WriteJob> _jobs = new(WaitingMax);
    private readonly Thread _thread;

    internal LmdbWriter(LmdbFile file)
    {
        _file = file;
        _thread = new Thread(Run) { IsBackground = true, Name = "LMDB writer" };
        _thread.Start();
    }

    /// <summary>Runs the write, all or nothing. A caller who leaves meanwhile is kept until it has ended: it reads the caller's buffers.</summary>
    internal async Task<T> WriteAsync<T>(Func<LmdbTransaction, T> write, long sizeBytes, CancellationToken cancellationToken)
    {
        var result = default(T);
        var job = new WriteJob(transaction => result = write(transaction), sizeBytes, cancellationToken);
        try
        {
            _jobs.Add(job, cancellationToken);
        }
        catch (InvalidOperationException)
        {
            throw new ObjectDisposedException(nameof(LmdbStore));
        }

        await job.Done.Task;
        return result!;
    }

    /// <summary>Ends after the writes that wait.</summary>
    public void Dispose()
    {
        _jobs.CompleteAdding();
        _thread.Join();
        _jobs.Dispose();
    }

    private void Run()
    {
        foreach (var first in _jobs.GetConsumingEnumerable())
        {
            var written = new List<WriteJob> { first };
            try
            {
                _file.Write(Gather(written));
                written.ForEach(job => job.Done.TrySetResult());
            }
            catch (Exception e)
            {
                // The transaction as a whole failed: nothing of it is there.
                written.ForEach(job => job.Done.TrySetException(e));
            }
        }
    }

    // The first job, and those that come while it and the others run.
    private IEnumerable<WriteJob> Gather(List<WriteJob> written)
    {
        yield return written[0];
        for (var size = written[0].SizeBytes; written.Count < GroupMax && size < GroupMaxBytes && _jobs.TryTake(out var job); size += job.SizeBytes)
        {
            written.Add(job);
            yield return job;
        }
    }
}

/// <summary>One write that waits for its turn.</summary>
internal sealed class WriteJob(Action<LmdbTransaction> write, long sizeBytes, CancellationToken cancellationToken)
{
    internal TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal long SizeBytes => sizeBytes;

    /// <summary>False if it failed by its own fault: it is undone, and the others go on.</summary>
    internal bool TryRun(LmdbTransaction transaction, string folder)
    {
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            write(transaction);
            return true;
        }
        catch (OperationCanceledException)
        {
            return !Done.TrySetCanceled(cancellationToken);
        }
        catch (LightningException e)
        {
            return !Done.TrySetException(LmdbFaults.Of(e, folder));
        }
        catch (Exception e)
        {
            return !Done.TrySetException(e);
        }
    }
}
