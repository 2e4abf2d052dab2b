using System.Text.Json;
using LightningDB;
using NpmMirror;
using NpmMirror.Storage;

namespace Engine;

/// <summary>The tables: each is an ordered map of bytes to bytes.</summary>
internal enum Table
{
    Meta,
    Packages,
    Graveyard,
    Indexes,
    Documents,
    Archive,
    ArchiveBytes,
    Changes,
    Log,
    Payloads,
    History,
    Queue,
    QueueDue,
    Tarballs,
    References,
    Access,
    AccessDays,
    Notes,
    Kept,
    Leases,
}

/// <summary>Reads and writes the tables in one transaction.</summary>
internal sealed class LmdbTransaction(LightningTransaction transaction, LightningDatabase[] tables)
{
    private static readonly byte[] CountsKey = "counts"u8.ToArray();

    /// <summary>Kept in the transactions that change what they count.</summary>
    internal StoreCounts Counts
    {
        get => FindRow<StoreCounts>(Table.Meta, CountsKey) ?? new StoreCounts(0, 0, 0, 0, 0, 0);
        set => PutRow(Table.Meta, CountsKey, value);
    }

    /// <summary>A copy of the value; null where there is none.</summary>
    internal byte[]? Find(Table table, byte[] key)
    {
        var (code, _, value) = transaction.Get(Of(table), LongKeys.Cut(key));
        return code.ThrowOnReadError() == MDBResultCode.NotFound ? null : LongKeys.IsLong(key) ? LongKeys.Read(value.AsSpan()).GetValueOrDefault(key) : value.CopyToNewArray();
    }

    internal T? FindRow<T>(Table table, byte[] key)
        where T : class => Find(table, key) is { } value ? Decode<T>(value) : null;

    internal bool Has(Table table, byte[] key) => Find(table, key) is not null;

    internal void Put(Table table, byte[] key, ReadOnlySpan<byte> value)
    {
        if (!LongKeys.IsLong(key))
        {
            transaction.Put(Of(table), key, value).ThrowOnError();
            return;
        }

        var together = Together(table, key);
        together[key] = value.ToArray();
        transaction.Put(Of(table), LongKeys.Cut(key), LongKeys.Write(together)).ThrowOnError();
    }

    internal void PutRow<T>(Table table, byte[] key, T value)
        where T : class => Put(table, key, JsonSerializer.SerializeToUtf8Bytes(value, LmdbJson.Options));

    internal void Remove(Table table, byte[] key)
    {
        if (LongKeys.IsLong(key) && Together(table, key) is { Count: > 1 } together)
        {
            together.Remove(key);
            transaction.Put(Of(table), LongKeys.Cut(key), LongKeys.Write(together)).ThrowOnError();
        }
        else if (!LongKeys.IsLong(key) || Has(table, key))
        {
            transaction.Delete(Of(table), LongKeys.Cut(key)).ThrowOnReadError();
        }
    }

    /// <summary>The rows from a key on, in the order of their keys' bytes, while keys begin with a prefix.</summary>
    internal IEnumerable<(byte[] Key, byte[] Value)> From(Table table, byte[] from, byte[]? prefix = null)
    {
        using var cursor = transaction.CreateCursor(Of(table));
        var code = (from.Length == 0 ? cursor.First().resultCode : cursor.SetRange(LongKeys.Cut(from))).ThrowOnReadError();
        while (code == MDBResultCode.Success)
        {
            var row = Current(cursor);
            foreach (var one in LongKeys.IsLong(row.Key) ? LongKeys.Read(row.Value).Select(one => (one.Key, one.Value)) : [row])
            {
                if (prefix is not null && !one.Key.AsSpan().StartsWith(prefix) && one.Key.AsSpan().SequenceCompareTo(prefix) > 0)
                {
                    yield break;
                }

                if (one.Key.AsSpan().SequenceCompareTo(from) >= 0)
                {
                    yield return one;
                }
            }

            code = cursor.Next().resultCode.ThrowOnReadError();
        }
    }

    /// <summary>The rows before a key, from the last to the first; for tables with short keys.</summary>
    internal IEnumerable<(byte[] Key, byte[] Value)> Before(Table table, byte[] before)
    {
        using var cursor = transaction.CreateCursor(Of(table));
        var code = cursor.SetRange(before).ThrowOnReadError() == MDBResultCode.Success ? cursor.Previous().resultCode : cursor.Last().resultCode;
        while (code.ThrowOnReadError() == MDBResultCode.Success)
        {
            yield return Current(cursor);
            code = cursor.Previous().resultCode;
        }
    }

    internal static T Decode<T>(byte[] value)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(value, LmdbJson.Options)!;
        }
        catch (JsonException e)
        {
            throw new MirrorException(MirrorFault.StoreDamaged, $"A row of the store is not what this engine writes ({e.Message}); restore a backup.", inner: e);
        }
    }

    private static (byte[] Key, byte[] Value) Current(LightningCursor cursor)
    {
        var (_, key, value) = cursor.GetCurrent();
        return (key.CopyToNewArray(), value.CopyToNewArray());
    }

    private LightningDatabase Of(Table table) => tables[(int)table];

    private SortedDictionary<byte[], byte[]> Together(Table table, byte[] key)
    {
        var (code, _, value) = transaction.Get(Of(table), LongKeys.Cut(key));
        return LongKeys.Read(code.ThrowOnReadError() == MDBResultCode.NotFound ? [] : value.AsSpan());
    }
}
