using System.Buffers.Binary;

namespace Engine;

/// <summary>
/// LMDB's keys have at most 511 bytes; names, paths and clients may be longer. A longer key is cut, and all rows that are the same up to there lie in one value,
/// in order. The order of a table stays the order of its whole keys.
/// </summary>
internal static class LongKeys
{
    private const int ShortMaxBytes = 500;
    private static readonly Comparer<byte[]> ByBytes = Comparer<byte[]>.Create((left, right) => left.AsSpan().SequenceCompareTo(right));

    internal static bool IsLong(byte[] key) => key.Length > ShortMaxBytes;

    // One byte longer than any short key, and right after the short one that it begins with.
    internal static byte[] Cut(byte[] key) => IsLong(key) ? [.. key.AsSpan(0, ShortMaxBytes), 0] : key;

    internal static SortedDictionary<byte[], byte[]> Read(ReadOnlySpan<byte> value)
    {
        var rows = new SortedDictionary<byte[], byte[]>(ByBytes);
        while (!value.IsEmpty)
        {
            var key = Next(ref value);
            rows[key] = Next(ref value);
        }

        return rows;
    }

    internal static byte[] Write(SortedDictionary<byte[], byte[]> rows)
    {
        using var bytes = new MemoryStream();
        Span<byte> length = stackalloc byte[sizeof(int)];
        foreach (var part in rows.SelectMany(row => (byte[][])[row.Key, row.Value]))
        {
            BinaryPrimitives.WriteInt32BigEndian(length, part.Length);
            bytes.Write(length);
            bytes.Write(part);
        }

        return bytes.ToArray();
    }

    private static byte[] Next(ref ReadOnlySpan<byte> value)
    {
        var length = BinaryPrimitives.ReadInt32BigEndian(value);
        var part = value.Slice(sizeof(int), length).ToArray();
        value = value[(sizeof(int) + length)..];
        return part;
    }
}
