using System.Runtime.CompilerServices;
using Microsoft.Data.Sqlite;

namespace NpmMirror.Sqlite;

public sealed partial class SqliteStore
{
    private const int PageRowsMax = 256;
    private const int PageBytesMax = 4 * 1024 * 1024;

    // Listings read page by page, each behind the last key of the one before: a reader that takes its time holds no snapshot, which
    // would keep the write-ahead log from being brought in.
    private async IAsyncEnumerable<T> PagesAsync<T, TKey>(
        TKey start,
        int rowsMax,
        Func<SqliteSession, TKey, SqliteDataReader> query,
        Func<SqliteDataReader, T> read,
        Func<T, TKey> keyOf,
        Func<T, int> sizeOf,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var last = start;
        while (true)
        {
            var (page, isLast) = await ReadAsync(session => ReadPage(query(session, last), rowsMax, read, sizeOf), cancellationToken);
            foreach (var row in page)
            {
                cancellationToken.ThrowIfCancellationRequested();
                yield return row;
            }

            if (isLast)
            {
                yield break;
            }

            last = keyOf(page[^1]);
        }
    }

    private static (List<T> Page, bool IsLast) ReadPage<T>(SqliteDataReader reader, int rowsMax, Func<SqliteDataReader, T> read, Func<T, int> sizeOf)
    {
        using (reader)
        {
            var page = new List<T>();
            for (var sizeBytes = 0L; sizeBytes < PageBytesMax && reader.Read(); sizeBytes += sizeOf(page[^1]))
            {
                page.Add(read(reader));
                if (page.Count == rowsMax)
                {
                    return (page, false);
                }
            }

            return (page, page.Count == 0 || !reader.Read());
        }
    }
}
