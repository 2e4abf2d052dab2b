using MongoDB.Bson;
using MongoDB.Bson.Serialization;
using NpmMirror.Log;

namespace NpmMirror.MongoDB;

/// <summary>The events of one commit that wait for their numbers.</summary>
internal static class PendingEvents
{
    internal static byte[] Write(IReadOnlyList<PendingEvent> events) => new BsonDocument("events", new BsonArray(events.Select(pending => new BsonDocument
    {
        ["ordinal"] = pending.Ordinal,
        ["type"] = BsonValues.Text(pending.Type),
        ["seenAt"] = BsonValues.Moment(pending.SeenAt),
        ["payload"] = new BsonBinaryData(pending.Payload.ToArray()),
    }.With("at", BsonValues.Bson(pending.At)).With("rev", BsonValues.Bson(pending.UpstreamRev))))).ToBson();

    /// <summary>Reads them; none where the bytes are not what was written.</summary>
    internal static IReadOnlyList<PendingEvent> Read(byte[] bytes)
    {
        try
        {
            return [.. BsonSerializer.Deserialize<BsonDocument>(bytes).Parts("events").Select(Read)];
        }
        catch (Exception e) when (e is FormatException or BsonException or EndOfStreamException or ArgumentException)
        {
            return [];
        }
    }

    private static PendingEvent Read(BsonDocument stored) => new()
    {
        Ordinal = (int)(stored.Number("ordinal") ?? 0),
        Type = stored.Text("type") ?? "",
        At = stored.Moment("at"),
        SeenAt = stored.Moment("seenAt") ?? DateTimeOffset.UnixEpoch,
        UpstreamRev = stored.Text("rev"),
        Payload = stored.TryGetValue("payload", out var payload) && payload is BsonBinaryData data ? data.Bytes : [],
    };
}
