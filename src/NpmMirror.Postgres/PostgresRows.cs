using System.Diagnostics.CodeAnalysis;
using Npgsql;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.Postgres;

/// <summary>Rows of packages, as they are read: column by column, in their order.</summary>
internal static class PostgresRows
{
    internal const string Columns =
        """
        p.name, p.generation, p.last_position, p.removal, p.removal_reason, p.rev, p.ancestors, p.upstream, p.etag, p.last_modified,
        p.modified_at, p.first_seen_at, p.stored_at, p.raw_size, p.document_sha256, p.package_index
        """;

    internal const int ColumnsCount = 16;

    /// <summary>Reads a row; false where its name is no package's.</summary>
    internal static bool TryRead(NpgsqlDataReader reader, [MaybeNullWhen(false)] out PackageRow row)
    {
        row = null;
        if (!PackageName.TryParse(reader.GetText(0), out var name))
        {
            return false;
        }

        var (generation, lastPosition) = (reader.GetInt64(1), reader.GetInt64(2));
        var facts = new PackageFacts
        {
            // The table holds no other than these.
            Removal = reader.GetTextOrNull(3) is { } removal ? Enum.Parse<RemovalKind>(removal) : null,
            RemovalReason = reader.GetTextOrNull(4),
            Rev = reader.GetTextOrNull(5),
            Ancestors = reader.GetTextOrNull(6),
            Upstream = reader.GetTextOrNull(7),
            ETag = reader.GetTextOrNull(8),
            LastModified = reader.GetTextOrNull(9),
            ModifiedAt = reader.GetTimeOrNull(10),
            FirstSeenAt = reader.GetTime(11),
            StoredAt = reader.GetTime(12),
        };
        row = new PackageRow
        {
            Name = name,
            Generation = generation,
            LastPosition = new LogPosition(lastPosition),
            Facts = facts,
            RawSizeBytes = reader.GetInt32(13),
            DocumentSha256 = reader.GetDigest(14),
            Index = reader.GetBytes(15),
        };
        return true;
    }

    /// <summary>The same row, whose document somebody deleted.</summary>
    internal static PackageRow WithoutDocument(this PackageRow row) =>
        row with { Index = default, Damage = new StoreDamage("documents", row.Name.Value, "bytes", "nothing") { Package = row.Name } };
}
