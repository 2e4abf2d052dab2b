using SQLitePCL;
using static SQLitePCL.raw;

namespace NpmMirror.Search;

/// <summary>One connection to the index's file, with its prepared statements. Used by one thread at a time.</summary>
internal sealed class SearchSession : IDisposable
{
    private const int BusyMs = 10_000;
    private readonly sqlite3 _database;
    private readonly Dictionary<string, Statement> _statements = new(StringComparer.Ordinal);

    private SearchSession(sqlite3 database) => _database = database;

    /// <summary>Opens the file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="isWriter">Whether it is made where it is missing, and written.</param>
    /// <param name="isImmutable">Whether no process writes it, nor may: it is read without the files beside it.</param>
    /// <exception cref="SearchFileException">It cannot be opened.</exception>
    internal static SearchSession Open(string path, bool isWriter, bool isImmutable = false)
    {
        Batteries_V2.Init();
        var flags = isWriter ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : isImmutable ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI : SQLITE_OPEN_READWRITE;
        var result = sqlite3_open_v2(isImmutable ? $"file:{Uri.EscapeDataString(path)}?immutable=1" : path, out var database, flags | SQLITE_OPEN_NOMUTEX, null);
        var session = new SearchSession(database);
        try
        {
            if (result != SQLITE_OK)
            {
                throw SearchFileException.Of(database, result);
            }

            _ = sqlite3_busy_timeout(database, BusyMs);
            session.Execute("PRAGMA temp_store = MEMORY");
            if (isWriter)
            {
                // What a power cut takes is repeated from the noted position; the file stays whole.
                session.Execute("PRAGMA journal_mode = WAL");
                session.Execute("PRAGMA synchronous = NORMAL");
                session.Execute("PRAGMA wal_autocheckpoint = 8000");
                session.Execute("PRAGMA journal_size_limit = 67108864");
                session.Execute("PRAGMA cache_size = -32768");
            }
            else
            {
                session.Execute("PRAGMA query_only = 1");
                session.Execute("PRAGMA cache_size = -8192");
            }

            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>The statement, prepared once.</summary>
    internal Statement Prepare(string sql)
    {
        if (!_statements.TryGetValue(sql, out var statement))
        {
            var result = sqlite3_prepare_v2(_database, sql, out var prepared);
            statement = result == SQLITE_OK ? new Statement(_database, prepared) : throw SearchFileException.Of(_database, result);
            _statements.Add(sql, statement);
        }

        return statement;
    }

    /// <summary>Runs statements without parameters.</summary>
    internal void Execute(string sql)
    {
        if (sqlite3_exec(_database, sql) is not SQLITE_OK and var result)
        {
            throw SearchFileException.Of(_database, result);
        }
    }

    /// <summary>Merges the file of new writes into the main one, as far as readers let it.</summary>
    internal void MergeWrites() => Prepare("PRAGMA wal_checkpoint(TRUNCATE)").Run();

    /// <summary>Ends what runs now, from another thread.</summary>
    internal void Interrupt() => sqlite3_interrupt(_database);

    /// <summary>Makes all of it one write, or nothing.</summary>
    internal void InTransaction(Action work)
    {
        Execute("BEGIN IMMEDIATE");
        try
        {
            work();
            Execute("COMMIT");
        }
        catch
        {
            // Some failures have ended it already.
            _ = sqlite3_exec(_database, "ROLLBACK");
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var statement in _statements.Values)
        {
            statement.Dispose();
        }

        _database.Dispose();
    }
}
