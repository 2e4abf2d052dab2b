using System.Collections.Concurrent;

namespace NpmMirror.Search;

/// <summary>The reading sessions of the index's file, lent out one caller at a time, each query with a limit in time.</summary>
internal sealed class SearchReaders(string path, bool isImmutable, TimeProvider time) : IDisposable
{
    private const int SessionsMax = 8;
    private static readonly TimeSpan QueryMax = TimeSpan.FromSeconds(2);
    private readonly ConcurrentBag<SearchSession> _idle = [];
    private readonly SemaphoreSlim _slots = new(SessionsMax);
    private volatile bool _isDisposed;

    /// <summary>Reads on the caller's thread.</summary>
    /// <exception cref="SearchFileException">It failed, or took too long.</exception>
    internal async ValueTask<T> ReadAsync<T>(Func<SearchSession, T> read, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(QueryMax, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            await _slots.WaitAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, "More searches run than this mirror answers at a time; search again.", isTransient: true, TimeSpan.FromSeconds(1));
        }

        SearchSession? session = null;
        try
        {
            ObjectDisposedException.ThrowIf(_isDisposed, typeof(SqliteSearchIndex));
            if (!_idle.TryTake(out session))
            {
                session = SearchSession.Open(path, isWriter: false, isImmutable);
            }

            T result;
            using (either.Token.UnsafeRegister(static running => ((SearchSession)running!).Interrupt(), session))
            {
                // All of one moment: ids change with grades.
                session.Execute("BEGIN");
                result = read(session);
                session.Execute("COMMIT");
            }

            if (!_isDisposed)
            {
                _idle.Add(session);
                session = null;
            }

            return result;
        }
        catch (SearchFileException e) when (e.IsInterrupt)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw;
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
        while (_idle.TryTake(out var session))
        {
            session.Dispose();
        }
    }
}
