using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Data.Sqlite;

namespace NpmMirror.Sqlite;

/// <summary>
/// The one writer of this process: a thread that gathers waiting jobs into one transaction, so that many packages share one sync of
/// the disk. A caller's task ends after the COMMIT that holds its work, never before. Jobs that may wait (<see cref="WriteUrgency.Together"/>)
/// wait for others while some come: until there are enough, an urgent one comes, or none has come for a moment.
/// </summary>
/// <remarks>Other processes may write the same file: each transaction takes the write lock first and reads its premises inside.</remarks>
internal sealed class SqliteWriter : IDisposable
{
    private const int WaitingMax = 1024;
    private const int GroupMax = 256;
    private const long GroupMaxBytes = 32 * 1024 * 1024;

    // A group this large is worth its sync. Smaller groups would cost syncs, larger ones only memory and time.
    private const int CompanyMax = 128;
    private const long CompanyMaxBytes = 8 * 1024 * 1024;
    private static readonly TimeSpan CompanyWait = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan QuietWait = TimeSpan.FromMilliseconds(25);
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
    /// <param name="urgency">Whether it may wait for other writes, or for its sync.</param>
    /// <param name="sizeBytes">Roughly how much it writes.</param>
    /// <param name="cancellationToken">Ends the wait; work that has begun is finished.</param>
    internal async ValueTask<T> WriteAsync<T>(Func<WriteTransaction, T> write, WriteUrgency urgency, long sizeBytes, CancellationToken cancellationToken)
    {
        await _slots.WaitAsync(cancellationToken);
        try
        {
            var job = new WriteJob<T>(write, urgency, sizeBytes, cancellationToken);
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

    /// <summary>Finishes waiting jobs, then closes. The last session to close merges the write-ahead log into the file.</summary>
    public void Dispose()
    {
        _jobs.CompleteAdding();
        _thread.Join();
        _jobs.Dispose();
    }

    private void Run()
    {
        var company = new Company();
        var unsynced = new List<WriteJob>();
        while (_jobs.TryTake(out var job, company.IsEmpty ? Timeout.InfiniteTimeSpan : QuietWait) || !company.IsEmpty)
        {
            // 1. All waiting jobs. 2. Either all of them with one sync, or those that need none, and the others go on waiting.
            var isQuiet = job is null;
            for (var count = 1; job is not null; count++)
            {
                if (job.Urgency == WriteUrgency.Unsynced)
                {
                    unsynced.Add(job);
                }
                else
                {
                    company.Add(job);
                }

                job = count < GroupMax && _jobs.TryTake(out var next) ? next : null;
            }

            if (company.IsDue || isQuiet)
            {
                Process([.. unsynced, .. company.Jobs], isSynced: true);
                company = new Company();
            }
            else
            {
                Process(unsynced, isSynced: false);
            }

            unsynced.Clear();
        }

        _session?.Dispose();
    }

    private void Process(List<WriteJob> jobs, bool isSynced)
    {
        try
        {
            Commit(jobs, isSynced);
            jobs.ForEach(job => job.Publish());
        }
        catch (SqliteException e)
        {
            // The disk's trouble or another process's: no job here caused it.
            Close();
            jobs.ForEach(job => job.Fail(SqliteFaults.OfWrite(e, _path)));
        }
        catch (Exception) when (jobs.Count > 1)
        {
            // One of them is at fault: alone, each fails or succeeds by itself.
            jobs.ForEach(job => Process([job], isSynced));
        }
        catch (Exception e)
        {
            jobs.ForEach(job => job.Fail(e));
        }
    }

    private void Commit(List<WriteJob> jobs, bool isSynced)
    {
        WriteTransaction? transaction = null;
        var sizeBytes = 0L;
        try
        {
            for (var i = 0; i < jobs.Count; i++)
            {
                if (!jobs[i].IsCancelled())
                {
                    transaction ??= WriteTransaction.Begin(_session ??= SqliteSchema.OpenForWriting(_path), _path, isSynced);
                    jobs[i].Run(transaction);
                }

                // Jobs that arrive while a synced group runs still join it; a job that is tried alone stays alone.
                sizeBytes += jobs[i].SizeBytes;
                if (isSynced && i == jobs.Count - 1 && i is > 0 and < GroupMax && sizeBytes < GroupMaxBytes && _jobs.TryTake(out var next))
                {
                    jobs.Add(next);
                }
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

    /// <summary>After an error of SQLite: closing rolls back the open transaction, and next time the file may be writable again, or another.</summary>
    private void Close()
    {
        _session?.Dispose();
        _session = null;
    }

    /// <summary>Jobs that wait for a sync.</summary>
    private sealed class Company
    {
        private long _begunAt;
        private long _sizeBytes;
        private bool _isInAHurry;

        internal List<WriteJob> Jobs { get; } = [];

        internal bool IsEmpty => Jobs.Count == 0;

        internal bool IsDue => !IsEmpty && (_isInAHurry || Jobs.Count >= CompanyMax || _sizeBytes >= CompanyMaxBytes || Stopwatch.GetElapsedTime(_begunAt) >= CompanyWait);

        internal void Add(WriteJob job)
        {
            _begunAt = IsEmpty ? Stopwatch.GetTimestamp() : _begunAt;
            _sizeBytes += job.SizeBytes;
            _isInAHurry |= job.Urgency == WriteUrgency.Now;
            Jobs.Add(job);
        }
    }
}
