using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.Data.Sqlite;

namespace NpmMirror.Sqlite;

/// <summary>Reads a row; false for one that cannot be returned, because its package is not known.</summary>
internal delegate bool RowRead<T>(SqliteDataReader reader, [MaybeNullWhen(false)] out T row);

/// <summary>
/// Listings, read page by page, each from the last key of the one before on: a reader that takes its time holds no snapshot, which would keep the
/// write-ahead log from being merged. Keys are taken from the reader as they are stored, so that a row with a damaged key is passed, too.
/// </summary>
internal static class SqlitePages
{
    /// <summary>Rows of a page.</summary>
    internal const int RowsMax = 256;

    /// <summary>Rows of a page of short rows.</summary>
    internal const int MarksMax = 2048;

    private const int BytesMax = 4 * 1024 * 1024;

    internal static async IAsyncEnumerable<T> PagesAsync<T, TKey>(
        this SqliteDatabase database,
        TKey start,
        int rowsMax,
        Func<SqliteSession, TKey, SqliteDataReader> query,
        RowRead<T> read,
        Func<SqliteDataReader, TKey> keyOf,
        Func<T, int> sizeOf,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var last = start;
        while (true)
        {
            var (page, next, isLast) = await database.ReadAsync(session => ReadPage(query(session, last), rowsMax, read, keyOf, sizeOf), cancellationToken);
            foreach (var row in page)
            {
                cancellationToken.ThrowIfCancellationRequested();
                yield return row;
            }

            // A key that does not advance would be read for ever.
            if (isLast || EqualityComparer<TKey>.Default.Equals(next, last))
            {
                yield break;
            }

            last = next!;
        }
    }

    private static (List<T> Page, TKey? Last, bool IsLast) ReadPage<T, TKey>(SqliteDataReader reader, int rowsMax, RowRead<T> read, Func<SqliteDataReader, TKey> keyOf, Func<T, int> sizeOf)
    {
        using (reader)
        {
            var page = new List<T>();
            var sizeBytes = 0L;
            for (var rows = 1; reader.Read(); rows++)
            {
                if (read(reader, out var row))
                {
                    page.Add(row);
                    sizeBytes += sizeOf(row);
                }

                if (rows == rowsMax || sizeBytes >= BytesMax)
                {
                    return (page, keyOf(reader), false);
                }
            }

            return (page, default, true);
        }
    }

    /// <summary>The key of a list by name, as it is stored.</summary>
    internal static object NameOf(SqliteDataReader reader) => reader.GetValue(0);

    /// <summary>The smallest key that is greater than this one.</summary>
    internal static object After(object key) => key switch
    {
        byte[] bytes => (byte[])[.. bytes, 0],
        _ => $"{key}\0",
    };
}
