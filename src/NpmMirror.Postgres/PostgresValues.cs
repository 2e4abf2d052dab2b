using System.Runtime.InteropServices;
using System.Text;
using Npgsql;
using NpgsqlTypes;

namespace NpmMirror.Postgres;

/// <summary>Between the contract's values and parameters and columns.</summary>
internal static class PostgresValues
{
    internal static NpgsqlParameter Param(string? text) => new() { NpgsqlDbType = NpgsqlDbType.Text, Value = Stored(text) ?? (object)DBNull.Value };

    internal static NpgsqlParameter Param(long number) => new NpgsqlParameter<long> { NpgsqlDbType = NpgsqlDbType.Bigint, TypedValue = number };

    internal static NpgsqlParameter Param(int number) => new NpgsqlParameter<int> { NpgsqlDbType = NpgsqlDbType.Integer, TypedValue = number };

    internal static NpgsqlParameter ParamOrNull(int? number) => new() { NpgsqlDbType = NpgsqlDbType.Integer, Value = number ?? (object)DBNull.Value };

    internal static NpgsqlParameter Param(bool flag) => new NpgsqlParameter<bool> { NpgsqlDbType = NpgsqlDbType.Boolean, TypedValue = flag };

    internal static NpgsqlParameter Param(DateTimeOffset? time) => new() { NpgsqlDbType = NpgsqlDbType.TimestampTz, Value = Stored(time) ?? (object)DBNull.Value };

    internal static NpgsqlParameter Param(TimeSpan duration) => new NpgsqlParameter<TimeSpan> { NpgsqlDbType = NpgsqlDbType.Interval, TypedValue = duration };

    internal static NpgsqlParameter Param(ReadOnlyMemory<byte>? bytes) => new() { NpgsqlDbType = NpgsqlDbType.Bytea, Value = bytes is { } some ? some : DBNull.Value };

    internal static NpgsqlParameter Param(Digest digest) => Param(digest.IsEmpty ? null : (ReadOnlyMemory<byte>?)digest.Bytes.ToArray());

    internal static NpgsqlParameter Params(IEnumerable<string?> texts) => Array(NpgsqlDbType.Text, texts.Select(Stored));

    internal static NpgsqlParameter Params(IEnumerable<long> numbers) => Array(NpgsqlDbType.Bigint, numbers);

    internal static NpgsqlParameter Params(IEnumerable<int> numbers) => Array(NpgsqlDbType.Integer, numbers);

    internal static NpgsqlParameter Params(IEnumerable<short> numbers) => Array(NpgsqlDbType.Smallint, numbers);

    internal static NpgsqlParameter Params(IEnumerable<bool> flags) => Array(NpgsqlDbType.Boolean, flags);

    internal static NpgsqlParameter Params(IEnumerable<DateTimeOffset?> times) => Array(NpgsqlDbType.TimestampTz, times.Select(Stored));

    internal static NpgsqlParameter Params(IEnumerable<byte[]?> many) => Array(NpgsqlDbType.Bytea, many);

    internal static NpgsqlCommand With(this NpgsqlCommand command, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(parameter);
        }

        return command;
    }

    internal static NpgsqlBatchCommand Add(this NpgsqlBatch batch, string sql, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(parameter);
        }

        batch.BatchCommands.Add(command);
        return command;
    }

    internal static string GetText(this NpgsqlDataReader reader, int column) => Told(reader.GetString(column));

    internal static string? GetTextOrNull(this NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetText(column);

    internal static DateTimeOffset GetTime(this NpgsqlDataReader reader, int column) => reader.GetFieldValue<DateTimeOffset>(column);

    internal static DateTimeOffset? GetTimeOrNull(this NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetTime(column);

    internal static byte[] GetBytes(this NpgsqlDataReader reader, int column) => reader.GetFieldValue<byte[]>(column);

    internal static Digest GetDigest(this NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? default : new Digest(reader.GetBytes(column));

    /// <summary>The bytes as an array: without a copy where they are a whole one.</summary>
    internal static byte[] ToArrayOrSelf(this ReadOnlyMemory<byte> bytes) =>
        MemoryMarshal.TryGetArray(bytes, out var array) && array.Offset == 0 && array.Count == array.Array!.Length ? array.Array : bytes.ToArray();

    /// <summary>Times are kept to the millisecond, in UTC.</summary>
    internal static DateTimeOffset? Stored(DateTimeOffset? time) => time is { } value ? DateTimeOffset.FromUnixTimeMilliseconds(value.ToUnixTimeMilliseconds()) : null;

    /// <summary>
    /// The text as it is stored. PostgreSQL takes no U+0000, so U+0000 and U+0001 become two characters each, U+0001 U+0001 and U+0001 U+0002: neither the order
    /// nor what begins with what changes. Half of a surrogate pair is no text and becomes U+FFFD.
    /// </summary>
    internal static string? Stored(string? text)
    {
        if (text is null)
        {
            return null;
        }

        if (text.AsSpan().ContainsAnyInRange('\ud800', '\udfff'))
        {
            text = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        }

        return text.AsSpan().ContainsAny('\0', '\u0001') ? text.Replace("\u0001", "\u0001\u0002", StringComparison.Ordinal).Replace("\0", "\u0001\u0001", StringComparison.Ordinal) : text;
    }

    private static string Told(string stored) =>
        stored.Contains('\u0001', StringComparison.Ordinal) ? stored.Replace("\u0001\u0001", "\0", StringComparison.Ordinal).Replace("\u0001\u0002", "\u0001", StringComparison.Ordinal) : stored;

    private static NpgsqlParameter<T[]> Array<T>(NpgsqlDbType type, IEnumerable<T> values) => new() { NpgsqlDbType = NpgsqlDbType.Array | type, TypedValue = [.. values] };
}
