using System.Globalization;
using System.Text;
using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>
/// Reads a row's columns and notes the first invalid value; in its place the caller gets a valid one. Reading never fails, whatever another program
/// wrote into the row.
/// </summary>
/// <param name="reader">On the row.</param>
/// <param name="table">For messages.</param>
/// <param name="keyColumns">The number of key columns, at the front.</param>
internal struct CheckedRow(SqliteDataReader reader, string table, int keyColumns = 1)
{
    /// <summary>Numbers of ours are far below this: one more can be added to each for ever.</summary>
    internal const long CountMax = long.MaxValue / 2;

    private const int ShownMax = 40;

    /// <summary>The first invalid value; null if there is none.</summary>
    internal StoreDamage? Damage { get; private set; }

    internal long Number(int column, long min = 0, long max = CountMax, long instead = 0)
    {
        if (TypeOf(column) == SQLitePCL.raw.SQLITE_INTEGER && reader.GetInt64(column) is var number && number >= min && number <= max)
        {
            return number;
        }

        Note(column);
        return instead;
    }

    internal int Integer(int column, int min = 0, int max = int.MaxValue, int instead = 0) => (int)Number(column, min, max, instead);

    internal bool Flag(int column) => Number(column, 0, 1) != 0;

    internal DateTimeOffset Time(int column, DateTimeOffset instead = default) =>
        DateTimeOffset.FromUnixTimeMilliseconds(Number(column, SqliteValues.TimeMin, SqliteValues.TimeMax, (instead == default ? DateTimeOffset.UnixEpoch : instead).ToUnixTimeMilliseconds()));

    internal DateTimeOffset? TimeOrNull(int column) => TypeOf(column) == SQLitePCL.raw.SQLITE_NULL ? null
        : Number(column, SqliteValues.TimeMin, SqliteValues.TimeMax, long.MinValue) is > long.MinValue and var time ? DateTimeOffset.FromUnixTimeMilliseconds(time)
        : null;

    internal string Text(int column)
    {
        if (TypeOf(column) == SQLitePCL.raw.SQLITE_TEXT)
        {
            return reader.GetString(column);
        }

        Note(column);
        return "";
    }

    internal string? TextOrNull(int column)
    {
        if (TypeOf(column) is SQLitePCL.raw.SQLITE_TEXT)
        {
            return reader.GetString(column);
        }

        if (TypeOf(column) != SQLitePCL.raw.SQLITE_NULL)
        {
            Note(column);
        }

        return null;
    }

    internal byte[] Bytes(int column)
    {
        if (TypeOf(column) == SQLitePCL.raw.SQLITE_BLOB)
        {
            return reader.GetBytes(column);
        }

        Note(column);
        return [];
    }

    /// <summary>A hash of so many bytes; empty if it is not valid.</summary>
    internal Digest Digest(int column, int sizeBytes)
    {
        var bytes = Bytes(column);
        if (bytes.Length == sizeBytes)
        {
            return new Digest(bytes);
        }

        Note(column);
        return default;
    }

    /// <summary>A package's name; null if it is not valid, and then the row's package is not known.</summary>
    internal PackageName? Package(int column)
    {
        if (TypeOf(column) == SQLitePCL.raw.SQLITE_TEXT && PackageName.TryParse(reader.GetString(column), out var name))
        {
            return name;
        }

        Note(column);
        return null;
    }

    /// <summary>Notes that a column's value cannot be, unless an earlier one was noted.</summary>
    internal void Note(int column)
    {
        if (Damage is not null)
        {
            return;
        }

        var key = new StringBuilder();
        for (var i = 0; i < keyColumns; i++)
        {
            key.Append(i == 0 ? "" : " ").Append(Show(i));
        }

        Damage = new StoreDamage(table, key.ToString(), reader.GetName(column), Show(column))
        {
            Package = TypeOf(0) == SQLitePCL.raw.SQLITE_TEXT && PackageName.TryParse(reader.GetString(0), out var name) ? name : null,
        };
    }

    private readonly int TypeOf(int column) => SQLitePCL.raw.sqlite3_column_type(reader.Handle!, column);

    private readonly string Show(int column) => TypeOf(column) switch
    {
        SQLitePCL.raw.SQLITE_NULL => "nothing",
        SQLitePCL.raw.SQLITE_INTEGER => reader.GetInt64(column).ToString(CultureInfo.InvariantCulture),
        SQLitePCL.raw.SQLITE_FLOAT => reader.GetDouble(column).ToString(CultureInfo.InvariantCulture),
        SQLitePCL.raw.SQLITE_TEXT => Shortened(reader.GetString(column)),
        _ => $"{reader.GetBytes(column).Length:N0} bytes",
    };

    private static string Shortened(string text) => PackageName.TryParse(text, out _) ? text : MirrorException.Quote(text.Length > ShownMax ? text[..ShownMax] + "…" : text);
}
