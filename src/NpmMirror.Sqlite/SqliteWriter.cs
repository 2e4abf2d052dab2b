using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;

namespace NpmMirror.Sqlite;

/// <summary>
/// The one writer of this process: a thread that gathers what waits into one transaction, so that many packages share one sync of
/// the disk. A caller's task ends after the COMMIT that holds its work, never before.
/// </summary>
/// <remarks>Other processes may write the same file: each transaction takes the write lock first and reads what it builds on inside.</remarks>
internal sealed class SqliteWriter : IDisposable
{
    private const int WaitingMax = 1024;
    private const int GroupMax = 256;
    private const long GroupMaxBytes = 32 * 1024 * 1024;
    private readonly string _path;
    private readonly Action<WriteTransaction> _committed;
    private readonly BlockingCollection<WriteJob> _jobs = [];
    private readonly SemaphoreSlim _slots = new(WaitingMax);
    private readonly Thread _thread;
    private SqliteSession? _session;

    /// <summary>Starts the thread; the database is opened by the first job.</summary>
    internal SqliteWriter(string path, Action<WriteTransaction> committed)
    {
        _path = path;
        _committed = committed;
        _thread = new Thread(Run) { IsBackground = true, Name = "npm-mirror SQLite writer" };
        _thread.Start();
    }

    /// <summary>Runs <paramref name="write"/> inside a transaction; it may run twice, with the first run undone.</summary>
    /// <param name="write">The work; its result is given back after the COMMIT.</param>
    /// <param name="sizeBytes">Roughly how much it writes.</param>
    /// <param name="cancellationToken">Ends the wait; work that has begun is finished.</param>
    internal async ValueTask<T> WriteAsync<T>(Func<WriteTransaction, T> write, long sizeBytes, CancellationToken cancellationToken)
    {
        await _slots.WaitAsync(cancellationToken);
        try
        {
            var job = new WriteJob<T>(write, sizeBytes, cancellationToken);
            try
            {
                _jobs.Add(job, CancellationToken.None);
            }
            catch (InvalidOperationException)
            {
                throw new ObjectDisposedException(nameof(SqliteStore));
            }

            return await job.Done;
        }
        finally
        {
            _slots.Release();
        }
    }

    /// <summary>Finishes what waits, then closes. The last session to close brings the write-ahead log into the file.</summary>
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
            Process(Gather(first));
        }

        _session?.Dispose();
    }

    private void Process(IEnumerable<WriteJob> jobs)
    {
        var begun = new List<WriteJob>();
        try
        {
            Commit(jobs, begun);
            begun.ForEach(job => job.Publish());
        }
        catch (SqliteException e)
        {
            // The disk's trouble or another process's: nobody's here in particular.
            Close(e);
            begun.ForEach(job => job.Fail(SqliteFaults.OfWrite(e, _path)));
        }
        catch (Exception) when (begun.Count > 1)
        {
            // One of them is at fault: alone, each answers for itself.
            begun.ForEach(job => Process([job]));
        }
        catch (Exception e)
        {
            begun.ForEach(job => job.Fail(e));
        }
    }

    // What arrives while the group runs still joins it.
    private IEnumerable<WriteJob> Gather(WriteJob first)
    {
        var sizeBytes = first.SizeBytes;
        yield return first;
        for (var count = 1; count < GroupMax && sizeBytes < GroupMaxBytes && _jobs.TryTake(out var next); count++)
        {
            sizeBytes += next.SizeBytes;
            yield return next;
        }
    }

    private void Commit(IEnumerable<WriteJob> jobs, List<WriteJob> begun)
    {
        WriteTransaction? transaction = null;
        try
        {
            foreach (var job in jobs.Where(job => !job.IsCancelled()))
            {
                begun.Add(job);
                transaction ??= WriteTransaction.Begin(_session ??= SqliteSchema.OpenForWriting(_path));
                job.Run(transaction);
            }

            transaction?.Commit();
        }
        catch (Exception e) when (e is not SqliteException)
        {
            transaction?.Rollback();
            throw;
        }

        if (transaction is not null)
        {
            _committed(transaction);
        }
    }

    private void Close(SqliteException e)
    {
        try
        {
            // SQLite has rolled back by itself after some errors and not after others.
            if (_session is { } session && SQLitePCL.raw.sqlite3_get_autocommit(session.Handle) == 0)
            {
                session.Execute("ROLLBACK");
            }
        }
        catch (SqliteException)
        {
            _session?.Dispose();
            _session = null;
        }

        if (SqliteFaults.IsLasting(e))
        {
            // Open anew next time: the folder may be writable again, or the file another.
            _session?.Dispose();
            _session = null;
        }
    }
}
