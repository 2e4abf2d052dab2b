using System.Globalization;
using System.Text;
using MongoDB.Bson;

namespace NpmMirror.MongoDB;

/// <summary>Between values and BSON. Reading trusts no type: a value of another kind than expected counts as missing.</summary>
internal static class BsonValues
{
    private static readonly long EarliestMoment = DateTimeOffset.MinValue.ToUnixTimeMilliseconds();
    private static readonly long LatestMoment = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();

    internal static string? Text(this BsonDocument document, string name) => document.TryGetValue(name, out var value) && value.IsString ? value.AsString : null;

    internal static long? Number(this BsonDocument document, string name) => !document.TryGetValue(name, out var value) ? null : value.BsonType switch
    {
        BsonType.Int32 => value.AsInt32,
        BsonType.Int64 => value.AsInt64,
        // Programs of others write each number as a double.
        BsonType.Double when value.AsDouble == Math.Floor(value.AsDouble) && Math.Abs(value.AsDouble) < 1L << 53 => (long)value.AsDouble,
        _ => null,
    };

    internal static bool Flag(this BsonDocument document, string name) => document.TryGetValue(name, out var value) && value.IsBoolean && value.AsBoolean;

    internal static DateTimeOffset? Moment(this BsonDocument document, string name) =>
        document.TryGetValue(name, out var value) && value is BsonDateTime moment && moment.MillisecondsSinceEpoch >= EarliestMoment && moment.MillisecondsSinceEpoch <= LatestMoment
            ? DateTimeOffset.FromUnixTimeMilliseconds(moment.MillisecondsSinceEpoch)
            : null;

    internal static BsonDocument? Part(this BsonDocument document, string name) => document.TryGetValue(name, out var value) && value is BsonDocument part ? part : null;

    internal static IReadOnlyList<BsonDocument> Parts(this BsonDocument document, string name) => document.TryGetValue(name, out var value) && value is BsonArray parts ? [.. parts.OfType<BsonDocument>()] : [];

    /// <summary>The value for messages, shortened.</summary>
    internal static string Shown(this BsonDocument document, string name)
    {
        if (!document.TryGetValue(name, out var value))
        {
            return "nothing";
        }

        var text = value is BsonBinaryData data ? string.Create(CultureInfo.InvariantCulture, $"{data.Bytes.Length} bytes") : value.ToString()!;
        return MirrorException.Quote(text.Length > 40 ? text[..40] + "…" : text);
    }

    /// <summary>Adds the fields that have values.</summary>
    internal static BsonDocument With(this BsonDocument document, string name, BsonValue? value) => value is null ? document : document.Set(name, value);

    internal static BsonValue? Bson(string? text) => text is null ? null : Text(text);

    internal static BsonValue? Bson(DateTimeOffset? moment) => moment is { } value ? Moment(value) : null;

    internal static BsonDateTime Moment(DateTimeOffset moment) => new(moment.ToUnixTimeMilliseconds());

    internal static BsonInt64 Number(long number) => new(number);

    /// <summary>The text as BSON can hold it: half a surrogate pair, which is no UTF-8, becomes U+FFFD.</summary>
    internal static BsonString Text(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]))
            {
                return new BsonString(Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)));
            }
        }

        return new BsonString(text);
    }

    /// <summary>To the millisecond, in UTC.</summary>
    internal static DateTimeOffset Truncated(this DateTimeOffset time) => DateTimeOffset.FromUnixTimeMilliseconds(time.ToUnixTimeMilliseconds());

    /// <inheritdoc cref="Truncated(DateTimeOffset)"/>
    internal static DateTimeOffset? Truncated(this DateTimeOffset? time) => time?.Truncated();
}
