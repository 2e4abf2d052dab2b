using System.Text.Json;
using System.Text.Json.Serialization;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.Redis;

/// <summary>The facts of a package's row as JSON. The names are stored.</summary>
internal sealed record FactsText
{
    public RemovalKind? Removal { get; init; }

    public string? RemovalReason { get; init; }

    public string? Rev { get; init; }

    public string? Ancestors { get; init; }

    public string? Upstream { get; init; }

    public string? ETag { get; init; }

    public string? LastModified { get; init; }

    public DateTimeOffset? ModifiedAt { get; init; }

    public DateTimeOffset FirstSeenAt { get; init; }

    public DateTimeOffset StoredAt { get; init; }

    internal static byte[] Write(PackageFacts facts) => JsonSerializer.SerializeToUtf8Bytes(
        new FactsText
        {
            Removal = facts.Removal,
            RemovalReason = facts.RemovalReason,
            Rev = facts.Rev,
            Ancestors = facts.Ancestors,
            Upstream = facts.Upstream,
            ETag = facts.ETag,
            LastModified = facts.LastModified,
            ModifiedAt = facts.ModifiedAt.Truncated(),
            FirstSeenAt = facts.FirstSeenAt.Truncated(),
            StoredAt = facts.StoredAt.Truncated(),
        },
        StoredJson.Default.FactsText);

    internal PackageFacts ToFacts() => new()
    {
        Removal = Removal,
        RemovalReason = RemovalReason,
        Rev = Rev,
        Ancestors = Ancestors,
        Upstream = Upstream,
        ETag = ETag,
        LastModified = LastModified,
        ModifiedAt = ModifiedAt,
        FirstSeenAt = FirstSeenAt,
        StoredAt = StoredAt,
    };
}

/// <summary>An item of the queue and its lease as JSON. The names are stored.</summary>
internal sealed record QueuedText
{
    public int Priority { get; init; }

    public DateTimeOffset DueAt { get; init; }

    public DateTimeOffset QueuedAt { get; init; }

    public string? WantedRev { get; init; }

    public bool IsDeletedRow { get; init; }

    public int Attempts { get; init; }

    public DateTimeOffset? MissingSince { get; init; }

    public string? LastError { get; init; }

    public long Ticket { get; init; }

    /// <summary>The ticket of the last enqueue that named no rev: no done rev can tell whether it is answered.</summary>
    public long BlindTicket { get; init; }

    public string? Token { get; init; }

    public DateTimeOffset LeasedUntil { get; init; }
}

/// <summary>A tarball's row as JSON. The names are stored.</summary>
internal sealed record TarballText
{
    public required string Version { get; init; }

    public TarballState State { get; init; }

    public string? Sha512 { get; init; }

    public long SizeBytes { get; init; }

    public string? UpstreamUrl { get; init; }

    public DateTimeOffset? VerifiedAt { get; init; }

    public DateTimeOffset? LastServedAt { get; init; }

    public string? Problem { get; init; }

    /// <summary>Under which name the bytes' own list has this row.</summary>
    public string? Reference { get; init; }
}

/// <summary>An event that waits for its number, without its payload. The names are stored.</summary>
internal sealed record PendingText
{
    public required string Type { get; init; }

    public DateTimeOffset? At { get; init; }

    public DateTimeOffset SeenAt { get; init; }

    public string? UpstreamRev { get; init; }
}

/// <summary>A row of the log, without its payload. The names are stored.</summary>
internal sealed record LogText
{
    public required string Package { get; init; }

    public long Generation { get; init; }

    public int Ordinal { get; init; }

    public required string Type { get; init; }

    public DateTimeOffset? At { get; init; }

    public DateTimeOffset SeenAt { get; init; }

    public string? UpstreamRev { get; init; }

    public required string PayloadSha256 { get; init; }

    public required string Hash { get; init; }

    /// <summary>Whether its payload was dropped on purpose.</summary>
    public bool IsPurged { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault, UseStringEnumConverter = true)]
[JsonSerializable(typeof(FactsText))]
[JsonSerializable(typeof(QueuedText))]
[JsonSerializable(typeof(TarballText))]
[JsonSerializable(typeof(PendingText))]
[JsonSerializable(typeof(LogText))]
[JsonSerializable(typeof(string[]))]
internal sealed partial class StoredJson : JsonSerializerContext;

/// <summary>Between the contract's values and stored ones.</summary>
internal static class StoredValues
{
    /// <summary>To the millisecond, in UTC.</summary>
    internal static DateTimeOffset Truncated(this DateTimeOffset time) => DateTimeOffset.FromUnixTimeMilliseconds(time.ToUnixTimeMilliseconds());

    /// <inheritdoc cref="Truncated(DateTimeOffset)"/>
    internal static DateTimeOffset? Truncated(this DateTimeOffset? time) => time?.Truncated();
}
