using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;

namespace NpmMirror.Sqlite;

/// <summary>A few reading sessions, lent out one caller at a time. A read runs on the caller's thread: it takes microseconds.</summary>
internal sealed class SqliteReaders(string path) : IDisposable
{
    private const int SessionsMax = 8;
    private readonly ConcurrentBag<(SqliteSession Session, int Era)> _idle = [];
    private readonly SemaphoreSlim _slots = new(SessionsMax);
    private volatile bool _isDisposed;
    private volatile int _era;
    private volatile SessionMode _mode = SessionMode.Read;

    /// <summary>How sessions are opened from now on; those of before are closed when they come back.</summary>
    internal SessionMode Mode
    {
        get => _mode;
        set
        {
            _mode = value;
            Interlocked.Increment(ref _era);
        }
    }

    internal async ValueTask<T> ReadAsync<T>(Func<SqliteSession, T> read, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, typeof(SqliteStore));
        await _slots.WaitAsync(cancellationToken);
        SqliteSession? session = null;
        var era = _era;
        try
        {
            session = Rent(ref era);
            var result = read(session);
            Return(session, era);
            session = null;
            return result;
        }
        catch (SqliteException e)
        {
            throw SqliteFaults.OfRead(e, path);
        }
        finally
        {
            // A session that failed is not lent out again.
            session?.Dispose();
            _slots.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _isDisposed = true;
        while (_idle.TryTake(out var idle))
        {
            idle.Session.Dispose();
        }
    }

    private SqliteSession Rent(ref int era)
    {
        while (_idle.TryTake(out var idle))
        {
            if (idle.Era == _era)
            {
                era = idle.Era;
                return idle.Session;
            }

            idle.Session.Dispose();
        }

        ObjectDisposedException.ThrowIf(_isDisposed, typeof(SqliteStore));
        return SqliteSession.Open(path, Mode);
    }

    private void Return(SqliteSession session, int era)
    {
        if (_isDisposed || era != _era)
        {
            session.Dispose();
            return;
        }

        _idle.Add((session, era));
        if (_isDisposed)
        {
            // Dispose may have emptied the bag just before.
            Dispose();
        }
    }
}
