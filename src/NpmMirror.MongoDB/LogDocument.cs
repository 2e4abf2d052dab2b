using System.Globalization;
using System.Security.Cryptography;
using MongoDB.Bson;
using NpmMirror.Log;

namespace NpmMirror.MongoDB;

/// <summary>A row of the log in the collection <c>log</c>, whose <c>_id</c> is its position.</summary>
internal static class LogDocument
{
    internal const string Collection = "log";

    /// <summary>Stands where a row of the log names no package.</summary>
    private static readonly PackageName NoPackage = PackageName.Parse("(damaged)");

    /// <summary>Writes a row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="payload">Its payload as <see cref="Chunks"/> gave it; null where it was purged.</param>
    internal static BsonDocument Write(LogRow row, BsonDocument? payload) => new BsonDocument
    {
        ["_id"] = row.Position.Value,
        ["package"] = row.Package.Value,
        ["generation"] = row.Generation,
        ["ordinal"] = row.Ordinal,
        ["type"] = BsonValues.Text(row.Type),
        ["seenAt"] = BsonValues.Moment(row.SeenAt),
        ["payloadSha256"] = row.PayloadSha256.Hex,
        ["hash"] = row.Hash.Hex,
    }.With("at", BsonValues.Bson(row.At)).With("rev", BsonValues.Bson(row.UpstreamRev)).With("payload", payload);

    /// <summary>Reads a row, whatever is in it: positions are dense, and a reader that missed one would look for it for ever.</summary>
    /// <param name="position">The position.</param>
    /// <param name="stored">The document; null if there is none.</param>
    /// <param name="payload">The payload's bytes; null if they are not there.</param>
    internal static LogRow Read(LogPosition position, BsonDocument? stored, byte[]? payload)
    {
        if (stored is not null
            && PackageName.TryParse(stored.Text("package"), out var package)
            && stored.Number("generation") is { } generation
            && stored.Number("ordinal") is >= 0 and <= int.MaxValue and var ordinal
            && stored.Text("type") is { } type
            && stored.Moment("seenAt") is { } seenAt
            && ReadDigest(stored, "payloadSha256") is { } payloadSha256
            && ReadDigest(stored, "hash") is { } hash
            && (stored.Part("payload") is null || payload is not null))
        {
            return new LogRow
            {
                Position = position,
                Package = package,
                Generation = generation,
                Ordinal = (int)ordinal,
                Type = type,
                At = stored.Moment("at"),
                SeenAt = seenAt,
                UpstreamRev = stored.Text("rev"),
                Payload = stored.Part("payload") is null ? (ReadOnlyMemory<byte>?)null : payload,
                PayloadSha256 = payloadSha256,
                Hash = hash,
            };
        }

        var nothing = new Digest(new byte[SHA256.HashSizeInBytes]);
        return new LogRow
        {
            Position = position,
            Package = NoPackage,
            Generation = 0,
            Ordinal = 0,
            Type = "",
            SeenAt = DateTimeOffset.UnixEpoch,
            Payload = null,
            PayloadSha256 = nothing,
            Hash = nothing,
            Damage = string.Create(CultureInfo.InvariantCulture, $"The row {position.Value} of the log {(stored is null ? "is not there" : "has values")}, which npm-mirror never {(stored is null ? "takes away" : "writes")}."),
        };
    }

    private static Digest? ReadDigest(BsonDocument stored, string name) =>
        Digest.TryFromHex(stored.Text(name) ?? "", out var digest) && digest.Bytes.Length == SHA256.HashSizeInBytes ? digest : null;
}
