namespace NpmMirror.Log;

/// <summary>An event that its package's row holds until the numberer gives it a place in the log. Engines treat it as columns and bytes.</summary>
public sealed record PendingEvent
{
    /// <summary>Its place among the events of one commit, from 0. (package, generation, ordinal) names an event for ever.</summary>
    public required int Ordinal { get; init; }

    /// <summary>The event's type, as <see cref="RegistryEvent"/> names it.</summary>
    public required string Type { get; init; }

    /// <summary>When the upstream says it happened; null if it does not say.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>When this mirror saw it.</summary>
    public required DateTimeOffset SeenAt { get; init; }

    /// <summary>The upstream's <c>_rev</c> of the document that brought it, if it has one.</summary>
    public string? UpstreamRev { get; init; }

    /// <summary>The data that undoes it, as JSON (see <see cref="EventPayload"/>).</summary>
    public required ReadOnlyMemory<byte> Payload { get; init; }
}

/// <summary>One row of the log: an event with its position and its link of the hash chain.</summary>
public sealed record LogRow
{
    /// <summary>Dense and ascending, from 1.</summary>
    public required LogPosition Position { get; init; }

    /// <summary>The package it is about.</summary>
    public required PackageName Package { get; init; }

    /// <summary>The generation of the package's row that brought it.</summary>
    public required long Generation { get; init; }

    /// <summary>Its place among the events of that commit.</summary>
    public required int Ordinal { get; init; }

    /// <summary>The event's type.</summary>
    public required string Type { get; init; }

    /// <summary>When the upstream says it happened.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>When this mirror saw it.</summary>
    public required DateTimeOffset SeenAt { get; init; }

    /// <summary>The upstream's <c>_rev</c>, if it has one.</summary>
    public string? UpstreamRev { get; init; }

    /// <summary>The payload, or null after a purge: its digest stays and the chain still verifies.</summary>
    public required ReadOnlyMemory<byte>? Payload { get; init; }

    /// <summary>SHA-256 of the payload.</summary>
    public required Digest PayloadSha256 { get; init; }

    /// <summary>This row's link: see <see cref="ChainHash"/>.</summary>
    public required Digest Hash { get; init; }

    /// <summary>The invalid value in this row of the store, in one sentence; null for a valid row.</summary>
    public string? Damage { get; init; }
}
