using System.Security.Cryptography;
using MongoDB.Bson;
using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>
/// A package in the collection <c>packages</c>: what people query, the row's values, the document or where its pieces are, and the events that wait for their numbers.
/// Reading it never fails, whatever another program wrote there: the first value that cannot be is noted, and a damaged row has no index.
/// </summary>
internal sealed class PackageDocument(PackageName name, BsonDocument stored)
{
    internal const string Collection = "packages";
    private const int DigestLength = 2 * SHA256.HashSizeInBytes;

    /// <summary>Leaves out what may be long and is not the row's.</summary>
    internal static readonly BsonDocument RowFields = new() { ["document.bytes.inline"] = 0, ["archive"] = 0, ["pending"] = 0 };

    internal BsonDocument Stored => stored;

    internal PackageName Name => name;

    internal long Generation => stored.Number("generation") is > 0 and var generation ? generation : 1;

    internal LogPosition LastPosition => new(Math.Max(stored.Number("lastPosition") ?? 0, 0));

    /// <summary>The write that this is the outcome of.</summary>
    internal string? Commit => stored.Text("commit");

    /// <summary>The write that last changed the document or removed or restored the package: its versions are to be told of it.</summary>
    internal string? Content => stored.Text("content");

    /// <summary>That of which the versions were told.</summary>
    internal string? VersionsOf => stored.Text("versionsOf");

    internal bool IsRemoved => stored.Flag("removed");

    /// <summary>Whether events point into the document, so that it is archived when another comes.</summary>
    internal bool IsPinned => stored.Flag("pinned");

    internal BsonDocument? Document => stored.Part("document");

    internal BsonDocument? Index => stored.Part("index");

    internal IReadOnlyList<BsonDocument> Archive => stored.Parts("archive");

    internal IReadOnlyList<BsonDocument> Pending => stored.Parts("pending");

    /// <summary>All values of this row that may lie in pieces.</summary>
    internal IEnumerable<BsonDocument?> Blobs => [Document?.Part("bytes"), Index, .. Archive.Select(entry => entry.Part("bytes")), .. Pending.Select(entry => entry.Part("bytes"))];

    internal bool IsInArchive(string? sha256) => Archive.Any(entry => entry.Text("sha256") == sha256);

    internal static string OwnerOf(PackageName name) => $"package/{name}";

    internal static PackageDocument? Of(BsonDocument? stored) =>
        stored is not null && PackageName.TryParse(stored.Text("_id"), out var name) ? new PackageDocument(name, stored) : null;

    /// <summary>A stored document as <c>document</c>, or among <c>archive</c>.</summary>
    internal static BsonDocument Write(StoredDocument document, BsonDocument bytes) =>
        new() { ["sha256"] = document.Sha256.Hex, ["codec"] = (int)document.Codec, ["rawSize"] = document.RawSizeBytes, ["bytes"] = bytes };

    /// <summary>Reads such a value, without its bytes; null if it is none.</summary>
    internal static StoredDocument? ReadForm(BsonDocument? value) =>
        value?.Number("codec") is >= 0 and <= int.MaxValue and var codec && value.Number("rawSize") is >= 0 and <= int.MaxValue and var size && value.Text("sha256") is { Length: DigestLength } hex && Digest.TryFromHex(hex, out var sha256)
            ? new StoredDocument((DocumentCodec)codec, default, (int)size, sha256)
            : null;

    /// <summary>The fields of facts; those without a value are null, so that an update takes them away.</summary>
    internal static IEnumerable<(string Name, BsonValue? Value)> Write(PackageFacts facts) =>
    [
        ("removed", facts.IsRemoved),
        ("removal", BsonValues.Bson(facts.Removal?.ToString())),
        ("removalReason", BsonValues.Bson(facts.RemovalReason)),
        ("rev", BsonValues.Bson(facts.Rev)),
        ("ancestors", BsonValues.Bson(facts.Ancestors)),
        ("upstream", BsonValues.Bson(facts.Upstream)),
        ("etag", BsonValues.Bson(facts.ETag)),
        ("lastModified", BsonValues.Bson(facts.LastModified)),
        ("modifiedAt", BsonValues.Bson(facts.ModifiedAt)),
        ("firstSeenAt", BsonValues.Bson(facts.FirstSeenAt)),
        ("storedAt", BsonValues.Bson(facts.StoredAt)),
    ];

    /// <summary>The fields that people query; null, and all are taken away, where the document tells none.</summary>
    internal static IEnumerable<(string Name, BsonValue? Value)> Write(PackumentColumns? columns) =>
    [
        ("description", BsonValues.Bson(columns?.Description)),
        ("keywords", columns is null ? null : new BsonArray(columns.Keywords.Select(BsonValues.Text))),
        ("maintainers", columns is null ? null : new BsonArray(columns.Maintainers.Select(BsonValues.Text))),
        ("license", BsonValues.Bson(columns?.License)),
        ("distTags", columns is null ? null : new BsonArray(columns.DistTags.Select(tag => new BsonDocument { ["tag"] = BsonValues.Text(tag.Tag), ["version"] = BsonValues.Text(tag.Version) }))),
    ];

    /// <summary>The row.</summary>
    /// <param name="index">The index, as it was read; null if it is not there.</param>
    internal PackageRow Read(byte[]? index)
    {
        var form = ReadForm(Document);
        var damage = stored.Number("generation") is null or < 1 ? Damage("generation")
            : stored.Number("lastPosition") is null or < 0 ? Damage("lastPosition")
            : form is null ? Damage("document")
            : stored.Moment("firstSeenAt") is null ? Damage("firstSeenAt")
            : stored.Moment("storedAt") is null ? Damage("storedAt")
            : stored.Contains("removal") && Removal is null ? Damage("removal")
            : IsRemoved != (Removal is not null and not RemovalKind.SecurityHolder) ? Damage("removed")
            : index is null ? Damage("index")
            : null;
        return new PackageRow
        {
            Name = name,
            Generation = Generation,
            LastPosition = LastPosition,
            Facts = new PackageFacts
            {
                Removal = Removal,
                RemovalReason = stored.Text("removalReason"),
                Rev = stored.Text("rev"),
                Ancestors = stored.Text("ancestors"),
                Upstream = stored.Text("upstream"),
                ETag = stored.Text("etag"),
                LastModified = stored.Text("lastModified"),
                ModifiedAt = stored.Moment("modifiedAt"),
                FirstSeenAt = stored.Moment("firstSeenAt") ?? DateTimeOffset.UnixEpoch,
                StoredAt = stored.Moment("storedAt") ?? DateTimeOffset.UnixEpoch,
            },
            Index = damage is null ? index : default(ReadOnlyMemory<byte>),
            DocumentSha256 = form?.Sha256 ?? new Digest(new byte[SHA256.HashSizeInBytes]),
            RawSizeBytes = form?.RawSizeBytes ?? 0,
            Damage = damage,
        };
    }

    internal StoreDamage DamageOfDocument() => new("documents", name.Value, "bytes", "nothing") { Package = name };

    private RemovalKind? Removal => Enum.TryParse<RemovalKind>(stored.Text("removal"), out var removal) && Enum.IsDefined(removal) ? removal : null;

    private StoreDamage Damage(string field) => new(Collection, name.Value, field is "removed" ? "is_removed" : field, stored.Shown(field)) { Package = name };
}
