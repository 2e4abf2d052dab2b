using System.Text.Json;
using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Removals;

/// <summary>Documents and events of packages that were removed before this mirror ever held them.</summary>
internal static class Tombstones
{
    /// <summary>Whether a deletion under this revision is not known yet, as far as the row tells.</summary>
    internal static bool IsNews(PackageRow? row, string? rev) => row is null || (row.Facts.IsRemoved && rev is not null && ServedRevision.Of(row) != rev);

    /// <summary>The event of a package that was removed before this mirror ever held it.</summary>
    internal static PackageRemoved EventOf(RemovalKind kind, RemovalNotice notice, DateTimeOffset now) => new(kind, notice.Reason, null) { At = notice.At, SeenAt = now, UpstreamRev = notice.Rev };

    /// <summary>Its commit; the document is the one that npm sends of an unpublished package.</summary>
    internal static PackageCommit CommitOf(PackageName name, PackageRemoved removed, string upstream)
    {
        var document = Document(name, removed);
        var index = PackumentReader.Read(document, name).Index;
        return new PackageCommit
        {
            Name = name,
            ExpectedGeneration = 0,
            Facts = new PackageFacts
            {
                Removal = removed.Kind,
                RemovalReason = removed.Reason,
                Rev = removed.UpstreamRev,
                Upstream = upstream,
                ModifiedAt = removed.At,
                FirstSeenAt = removed.SeenAt,
                StoredAt = removed.SeenAt,
            },
            Document = DocumentCodecs.Encode(document),
            Index = index.ToBytes(),
            Events = [EventPayload.ToPending(removed, 0)],
        };
    }

    private static byte[] Document(PackageName name, PackageRemoved removed)
    {
        using var body = new MemoryStream();
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            json.WriteString("_id"u8, name.Value);
            json.WriteString("_rev"u8, removed.UpstreamRev);
            json.WriteString("name"u8, name.Value);
            json.WriteStartObject("time"u8);
            json.WriteStartObject("unpublished"u8);
            if (removed.At is { } at)
            {
                json.WriteString("time"u8, at.UtcDateTime);
            }

            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return body.ToArray();
    }
}
