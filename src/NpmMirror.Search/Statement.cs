using SQLitePCL;
using static SQLitePCL.raw;

namespace NpmMirror.Search;

/// <summary>A prepared statement of a session. Bind, step, read; <see cref="Reset"/> ends a run.</summary>
internal sealed class Statement(sqlite3 database, sqlite3_stmt statement) : IDisposable
{
    /// <summary>Sets a parameter, counted from 1.</summary>
    internal Statement Bind(int at, long value)
    {
        Check(sqlite3_bind_int64(statement, at, value));
        return this;
    }

    /// <summary>Sets a parameter, counted from 1.</summary>
    internal Statement Bind(int at, string value)
    {
        Check(sqlite3_bind_text(statement, at, value));
        return this;
    }

    /// <summary>Sets a parameter, counted from 1.</summary>
    internal Statement Bind(int at, ReadOnlySpan<byte> value)
    {
        Check(sqlite3_bind_blob(statement, at, value));
        return this;
    }

    /// <summary>Goes to the next row; false after the last one, and the statement is reset.</summary>
    /// <exception cref="SearchFileException">It failed, and is reset.</exception>
    internal bool Step()
    {
        var result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
        {
            return true;
        }

        var failure = result == SQLITE_DONE ? null : SearchFileException.Of(database, result);
        _ = sqlite3_reset(statement);
        return failure is null ? false : throw failure;
    }

    /// <summary>Runs it to its end.</summary>
    internal void Run()
    {
        while (Step())
        {
            // Its rows are of no interest.
        }
    }

    /// <summary>Ends a run before its end.</summary>
    internal void Reset() => _ = sqlite3_reset(statement);

    internal long Integer(int column) => sqlite3_column_int64(statement, column);

    internal string Text(int column) => sqlite3_column_text(statement, column).utf8_to_string() ?? "";

    /// <summary>The bytes, until the next step.</summary>
    internal ReadOnlySpan<byte> Bytes(int column) => sqlite3_column_blob(statement, column);

    /// <summary>The first column of the first row; null without one.</summary>
    internal long? FirstInteger()
    {
        if (!Step())
        {
            return null;
        }

        var value = Integer(0);
        Reset();
        return value;
    }

    /// <inheritdoc/>
    public void Dispose() => statement.Dispose();

    private void Check(int result)
    {
        if (result != SQLITE_OK)
        {
            throw SearchFileException.Of(database, result);
        }
    }
}
