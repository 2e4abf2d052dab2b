using Microsoft.Data.Sqlite;

namespace NpmMirror.Sqlite;

/// <summary>How a session opens the database.</summary>
internal enum SessionMode
{
    /// <summary>Creates the file where it is missing.</summary>
    Write,

    /// <summary>Reads beside writers: needs the folder writable, for the file that readers and writers share.</summary>
    Read,

    /// <summary>Reads if nothing may be written.</summary>
    ReadOnly,

    /// <summary>Reads a file that no process writes, without the shared file: a copy on read-only media.</summary>
    Immutable,
}

/// <summary>One connection with its prepared statements. Used by one thread at a time.</summary>
internal sealed class SqliteSession : IDisposable
{
    // Longer than any group takes to commit; shorter than callers wait.
    private const int BusySeconds = 10;
    private readonly SqliteConnection _connection;
    private readonly Dictionary<string, SqliteCommand> _commands = new(StringComparer.Ordinal);

    private SqliteSession(SqliteConnection connection) => _connection = connection;

    internal SQLitePCL.sqlite3 Handle => _connection.Handle!;

    /// <summary>Whether commits are on the disk when they return. Set between transactions.</summary>
    internal bool IsSynced
    {
        get;
        set
        {
            if (field != value)
            {
                // Not by a kept statement: this one takes effect when it is prepared. NORMAL leaves out only the sync of the write-ahead log
                // at a COMMIT: its order and its checksums stay, and the next sync includes everything before it.
                _ = SQLitePCL.raw.sqlite3_exec(Handle, value ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
                field = value;
            }
        }
    }

    internal static SqliteSession Open(string path, SessionMode mode)
    {
        SQLitePCL.Batteries_V2.Init();
        var settings = new SqliteConnectionStringBuilder
        {
            DataSource = mode == SessionMode.Immutable ? $"file:{Uri.EscapeDataString(path)}?immutable=1" : path,
            Mode = mode switch
            {
                SessionMode.Write => SqliteOpenMode.ReadWriteCreate,
                SessionMode.Read => SqliteOpenMode.ReadWrite,
                _ => SqliteOpenMode.ReadOnly,
            },
            Pooling = false,
            DefaultTimeout = BusySeconds,
        };
        var session = new SqliteSession(new SqliteConnection(settings.ToString()));
        try
        {
            session._connection.Open();
            session.Configure(mode);
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Runs a statement; returns how many rows it changed.</summary>
    internal int Execute(string sql, params ReadOnlySpan<(string Name, object? Value)> parameters) => Prepare(sql, parameters).ExecuteNonQuery();

    /// <summary>The first column of the first row, or null.</summary>
    internal T? Scalar<T>(string sql, params ReadOnlySpan<(string Name, object? Value)> parameters) =>
        Prepare(sql, parameters).ExecuteScalar() is T value ? value : default;

    /// <summary>Runs a query. The reader must be disposed before the next use of the same query.</summary>
    internal SqliteDataReader Query(string sql, params ReadOnlySpan<(string Name, object? Value)> parameters) => Prepare(sql, parameters).ExecuteReader();

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var command in _commands.Values)
        {
            command.Dispose();
        }

        _connection.Dispose();
    }

    private void Configure(SessionMode mode)
    {
        Execute($"PRAGMA busy_timeout = {BusySeconds * 1000}");
        Execute("PRAGMA temp_store = MEMORY");
        if (mode == SessionMode.Write)
        {
            Execute("PRAGMA journal_mode = WAL");

            // FULL: a commit that was reported survives the power cut, at one sync a group.
            IsSynced = true;
            Execute("PRAGMA wal_autocheckpoint = 16000");
            Execute("PRAGMA journal_size_limit = 67108864");
            Execute("PRAGMA cache_size = -16384");
        }
        else
        {
            Execute("PRAGMA query_only = 1");
            Execute("PRAGMA cache_size = -4096");
        }
    }

    private SqliteCommand Prepare(string sql, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        if (!_commands.TryGetValue(sql, out var command))
        {
            command = _connection.CreateCommand();
            command.CommandText = sql;
            foreach (var (name, _) in parameters)
            {
                command.Parameters.Add(new SqliteParameter { ParameterName = name });
            }

            _commands.Add(sql, command);
        }

        for (var i = 0; i < parameters.Length; i++)
        {
            command.Parameters[i].Value = parameters[i].Value ?? DBNull.Value;
        }

        return command;
    }
}
