using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Npgsql;

namespace NpmMirror.Postgres;

/// <summary>Reads a row; false for one that cannot be told of, because nobody knows whose it is.</summary>
internal delegate bool RowRead<T>(NpgsqlDataReader reader, [MaybeNullWhen(false)] out T row);

/// <summary>Listings, read page by page, each from the last key of the one before on: a reader that takes its time holds no snapshot, which would keep the server from tidying up.</summary>
internal static class PostgresPages
{
    /// <summary>Rows of a page.</summary>
    internal const int RowsMax = 256;

    /// <summary>Rows of a page of short rows.</summary>
    internal const int MarksMax = 2048;

    private const int BytesMax = 4 * 1024 * 1024;

    internal static async IAsyncEnumerable<T> PagesAsync<T, TKey>(
        this PostgresDatabase database,
        TKey start,
        int rowsMax,
        Func<TKey, NpgsqlCommand> query,
        RowRead<T> read,
        Func<NpgsqlDataReader, TKey> keyOf,
        Func<T, int> sizeOf,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var last = start;
        while (true)
        {
            var (page, next, isLast) = await database.ReadAsync(
                async (connection, token) =>
                {
                    await using var command = query(last);
                    command.Connection = connection;
                    return await ReadPageAsync(command, rowsMax, read, keyOf, sizeOf, token);
                },
                cancellationToken);
            foreach (var row in page)
            {
                cancellationToken.ThrowIfCancellationRequested();
                yield return row;
            }

            if (isLast)
            {
                yield break;
            }

            last = next!;
        }
    }

    /// <summary>The smallest text that is greater than this one.</summary>
    internal static string After(string key) => $"{key}\0";

    private static async ValueTask<(List<T> Page, TKey? Last, bool IsLast)> ReadPageAsync<T, TKey>(
        NpgsqlCommand command, int rowsMax, RowRead<T> read, Func<NpgsqlDataReader, TKey> keyOf, Func<T, int> sizeOf, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var page = new List<T>();
        var sizeBytes = 0L;
        for (var rows = 1; await reader.ReadAsync(cancellationToken); rows++)
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
