using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Sqlite;

/// <summary>Between the contract's values and columns.</summary>
internal static class SqliteValues
{
    /// <summary>The first moment that a column of ours can have.</summary>
    internal static readonly long TimeMin = DateTimeOffset.MinValue.ToUnixTimeMilliseconds();

    /// <summary>The last one.</summary>
    internal static readonly long TimeMax = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();

    /// <summary>A lease that ends later than this was written by a wrong clock.</summary>
    internal static long LeaseMax(DateTimeOffset now) => (now + StoredMoments.LongestLease).ToMs();

    internal static long ToMs(this DateTimeOffset time) => time.ToUnixTimeMilliseconds();

    internal static long? ToMs(this DateTimeOffset? time) => time?.ToUnixTimeMilliseconds();

    internal static DateTimeOffset GetTime(this SqliteDataReader reader, int column) => DateTimeOffset.FromUnixTimeMilliseconds(reader.GetInt64(column));

    internal static DateTimeOffset? GetTimeOrNull(this SqliteDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetTime(column);

    internal static string? GetStringOrNull(this SqliteDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

    internal static byte[] GetBytes(this SqliteDataReader reader, int column) => reader.GetFieldValue<byte[]>(column);

    internal static Digest GetDigest(this SqliteDataReader reader, int column) => new(reader.GetFieldValue<byte[]>(column));

    internal static PackageName GetPackage(this SqliteDataReader reader, int column) => PackageName.Parse(reader.GetString(column));

    /// <summary>The bytes as the driver takes them: without a copy where they are a whole array.</summary>
    internal static byte[] ToArrayOrSelf(this ReadOnlyMemory<byte> bytes) =>
        MemoryMarshal.TryGetArray(bytes, out var array) && array.Offset == 0 && array.Count == array.Array!.Length ? array.Array : bytes.ToArray();

    internal static byte[]? ToArrayOrNull(this Digest digest) => digest.IsEmpty ? null : digest.Bytes.ToArray();
}
