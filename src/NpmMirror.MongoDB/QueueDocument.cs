using MongoDB.Bson;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>An item of the queue in the collection <c>queue</c>, whose <c>_id</c> is the package.</summary>
/// <param name="Name">The package.</param>
/// <param name="Write">The write that it is the outcome of; null where there is none.</param>
/// <param name="Entry">The item; null if there is none.</param>
internal sealed record QueueDocument(PackageName Name, BsonValue? Write, QueueEntry? Entry)
{
    internal const string Collection = "queue";

    internal static QueueDocument? Read(BsonDocument stored) => !PackageName.TryParse(stored.Text("_id"), out var name) ? null : new QueueDocument(
        name,
        stored.GetValue("write", BsonNull.Value),
        new QueueEntry(
            new QueueItem
            {
                Name = name,
                Priority = stored.Number("priority") is { } priority && Enum.IsDefined((QueuePriority)priority) ? (QueuePriority)priority : QueuePriority.Bulk,
                DueAt = stored.Moment("dueAt") ?? DateTimeOffset.UnixEpoch,
                QueuedAt = stored.Moment("queuedAt") ?? DateTimeOffset.UnixEpoch,
                WantedRev = stored.Text("wantedRev"),
                IsDeletedRow = stored.Flag("isDeletedRow"),
                Attempts = (int)Math.Clamp(stored.Number("attempts") ?? 0, 0, int.MaxValue),
                MissingSince = stored.Moment("missingSince"),
                LastError = stored.Text("lastError"),
            },
            stored.Number("ticket") ?? 0,
            stored.Number("blindTicket") ?? 0,
            stored.Text("token"),
            stored.Moment("leasedUntil") ?? DateTimeOffset.UnixEpoch));

    internal static BsonDocument ToBson(QueueEntry entry, string write) => new BsonDocument
    {
        ["_id"] = entry.Item.Name.Value,
        ["priority"] = (int)entry.Item.Priority,
        ["dueAt"] = BsonValues.Moment(entry.Item.DueAt),
        ["queuedAt"] = BsonValues.Moment(entry.Item.QueuedAt),
        ["isDeletedRow"] = entry.Item.IsDeletedRow,
        ["attempts"] = entry.Item.Attempts,
        ["ticket"] = entry.Ticket,
        ["blindTicket"] = entry.BlindTicket,
        ["leasedUntil"] = BsonValues.Moment(entry.Token is null ? DateTimeOffset.UnixEpoch : entry.LeasedUntil),
        ["write"] = write,
    }
        .With("wantedRev", BsonValues.Bson(entry.Item.WantedRev))
        .With("missingSince", BsonValues.Bson(entry.Item.MissingSince))
        .With("lastError", BsonValues.Bson(entry.Item.LastError))
        .With("token", BsonValues.Bson(entry.Token));
}
