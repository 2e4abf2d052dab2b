using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>
/// A package's row as it is stored. Reading it never fails, whatever another program wrote there: the first value that cannot be is noted, and a
/// damaged row has no index.
/// </summary>
internal readonly struct RedisRow(PackageName name, RedisValue[] fields)
{
    /// <summary>The fields, in the order in which they are read.</summary>
    internal static readonly RedisValue[] Fields = ["generation", "last_position", "codec", "raw_size", "sha256", "place", "pinned", "facts", "index"];

    /// <summary>Those that a commit has to know.</summary>
    internal static readonly RedisValue[] CommitFields = Fields[..^2];

    /// <summary>All but the index, which may be long.</summary>
    internal static readonly RedisValue[] ListFields = Fields[..^1];

    private const string Table = "packages";
    private const int DigestLength = 2 * SHA256.HashSizeInBytes;

    internal bool IsThere => !fields[0].IsNull;

    internal long Generation => Number(0) is > 0 and var generation ? generation : IsThere ? 1 : 0;

    internal LogPosition LastPosition => new(Math.Max(Number(1) ?? 0, 0));

    internal DocumentCodec Codec => (DocumentCodec)(Number(2) ?? -1);

    internal int RawSizeBytes => (int)Math.Clamp(Number(3) ?? 0, 0, int.MaxValue);

    internal string Sha256 => Text(4) ?? "";

    /// <summary>Whether the document lies under the classic key.</summary>
    internal bool IsInModule => Text(5) == "module";

    /// <summary>Whether events point into the document, so that it is archived when another comes.</summary>
    internal bool IsPinned => Text(6) == "1";

    /// <summary>The row.</summary>
    /// <param name="lengthBytes">The length of the stored document; null if it was not read.</param>
    internal PackageRow Read(long? lengthBytes)
    {
        var facts = ReadFacts();
        var hasDigest = Digest.TryFromHex(Sha256, out var sha256) && Sha256.Length == DigestLength;
        var damage = Number(0) is null or < 1 ? Damage("generation", 0)
            : Number(1) is null or < 0 ? Damage("last_position", 1)
            : Number(2) is null or < 0 ? Damage("codec", 2)
            : Number(3) is null or < 0 or > int.MaxValue ? Damage("raw_size", 3)
            : !hasDigest ? Damage("sha256", 4)
            : facts is null ? Damage("facts", 7)
            : fields[8].IsNull ? Damage("index", 8)
            : IsMissing(lengthBytes) ? new StoreDamage("documents", name.Value, "bytes", lengthBytes == 0 ? "nothing" : string.Create(CultureInfo.InvariantCulture, $"{lengthBytes} bytes")) { Package = name }
            : null;
        return new PackageRow
        {
            Name = name,
            Generation = Generation,
            LastPosition = LastPosition,
            Facts = facts ?? new PackageFacts { FirstSeenAt = DateTimeOffset.UnixEpoch, StoredAt = DateTimeOffset.UnixEpoch },
            Index = damage is null ? (byte[]?)fields[8] : default(ReadOnlyMemory<byte>),
            DocumentSha256 = hasDigest ? sha256 : new Digest(new byte[SHA256.HashSizeInBytes]),
            RawSizeBytes = RawSizeBytes,
            Damage = damage,
        };
    }

    internal PackageFacts? ReadFacts()
    {
        try
        {
            return fields[7].IsNull ? null : JsonSerializer.Deserialize((byte[])fields[7]!, StoredJson.Default.FactsText)?.ToFacts();
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // Another program may have written the classic key, or taken it away.
    private bool IsMissing(long? lengthBytes) => lengthBytes is { } length && Codec switch
    {
        DocumentCodec.Purged => false,
        DocumentCodec.Identity => length != RawSizeBytes,
        _ => length == 0,
    };

    private string? Text(int field) => fields[field].IsNull ? null : (string?)fields[field];

    private long? Number(int field) => long.TryParse(Text(field), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;

    private StoreDamage Damage(string column, int field)
    {
        var text = Text(field);
        return new StoreDamage(Table, name.Value, column, text is null ? "nothing" : MirrorException.Quote(text.Length > 40 ? text[..40] + "…" : text)) { Package = name };
    }
}
