using System.Text.Json.Serialization;

namespace NpmMirror.Log;

/// <summary>
/// A change in the registry: a closed family. Each event holds the data that undoes it. Changes of one kind in one commit are
/// one event with a list; another host in a URL or another key order is no event.
/// </summary>
public abstract record RegistryEvent
{
    private protected RegistryEvent()
    {
    }

    /// <summary>Its place in this mirror's log; zero until it is numbered.</summary>
    [JsonIgnore]
    public LogPosition Position { get; init; }

    /// <summary>The package it is about.</summary>
    [JsonIgnore]
    public PackageName Package { get; init; }

    /// <summary>The generation of the package's row that brought it.</summary>
    [JsonIgnore]
    public long Generation { get; init; }

    /// <summary>When the upstream says it happened; null if it does not say.</summary>
    [JsonIgnore]
    public DateTimeOffset? At { get; init; }

    /// <summary>When this mirror saw it.</summary>
    [JsonIgnore]
    public DateTimeOffset SeenAt { get; init; }

    /// <summary>The upstream's <c>_rev</c> of the document that brought it.</summary>
    [JsonIgnore]
    public string? UpstreamRev { get; init; }
}

/// <summary>A package was seen for the first time: one event for everything known at first sight.</summary>
/// <param name="Versions">How many versions it had.</param>
/// <param name="Tags">All its dist-tags.</param>
public sealed record PackageAdded(int Versions, IReadOnlyDictionary<string, string> Tags) : RegistryEvent;

/// <summary>A version appeared.</summary>
public sealed record VersionPublished(string Version) : RegistryEvent;

/// <summary>Manifests of versions changed in place (deprecated, repaired, …).</summary>
public sealed record VersionChanged(IReadOnlyList<ChangedVersion> Versions) : RegistryEvent;

/// <summary>Versions vanished from the packument.</summary>
public sealed record VersionRemoved(string Version, OldValue Manifest, string? Time) : RegistryEvent;

/// <summary>A dist-tag was set, moved or removed.</summary>
/// <param name="Tag">The tag.</param>
/// <param name="From">The version it pointed at; null when it is new.</param>
/// <param name="To">The version it points at; null when it is gone.</param>
public sealed record DistTagMoved(string Tag, string? From, string? To) : RegistryEvent;

/// <summary>The package's maintainers changed; both as raw JSON, or absent.</summary>
public sealed record MaintainersChanged(OldValue From, OldValue To) : RegistryEvent;

/// <summary>
/// Another part of the document changed: a top-level member (readme, description, users, <c>_rev</c> …) or the publish time of a
/// version that was there before. With it, every document that differs has a place in the log.
/// </summary>
public sealed record MetadataChanged(IReadOnlyList<ChangedMember> Members) : RegistryEvent;

/// <summary>
/// Versions are newly deprecated, or with another message, or no longer. Like the next two, this event undoes nothing: it points out a part
/// of the <see cref="VersionPublished"/> and <see cref="VersionChanged"/> of the same commit.
/// </summary>
public sealed record Deprecated(IReadOnlyList<Deprecation> Deprecations) : RegistryEvent;

/// <summary>Versions run a script when they are installed, and the version before them did not.</summary>
public sealed record InstallScriptAppeared(IReadOnlyList<ComparedVersion> Versions) : RegistryEvent;

/// <summary>Versions have no provenance (a statement of where and how they were built), and the version before them had one.</summary>
public sealed record ProvenanceLost(IReadOnlyList<ComparedVersion> Versions) : RegistryEvent;

/// <summary>The package is gone from the upstream; its last known document stays in the graveyard.</summary>
/// <param name="Kind">The kind of removal.</param>
/// <param name="Reason">The upstream's reason, if it gave one.</param>
/// <param name="Archived">SHA-256 of the last known document; null if the package was never held here.</param>
public sealed record PackageRemoved(RemovalKind Kind, string? Reason, string? Archived) : RegistryEvent;

/// <summary>A removed package is back.</summary>
public sealed record PackageRestored : RegistryEvent;

/// <summary>The log has an event here that cannot be read any more. This event is told in its place, and never stored.</summary>
/// <param name="Type">The kind of event that it was.</param>
/// <param name="Problem">The damage, and how to mend it.</param>
public sealed record EventDamaged(string Type, string Problem) : RegistryEvent;

/// <summary>How a package went away.</summary>
public enum RemovalKind
{
    /// <summary>Unpublished: the upstream says so itself.</summary>
    Unpublished,

    /// <summary>Taken over by npm's security team: a holding package stands in its place.</summary>
    SecurityHolder,

    /// <summary>The upstream does not know it any more.</summary>
    Gone,

    /// <summary>The upstream refuses it for legal reasons (451).</summary>
    Blocked,
}

/// <summary>A version whose manifest changed, with the old values of the changed members.</summary>
public sealed record ChangedVersion(string Version, IReadOnlyList<ChangedMember> Members);

/// <summary>Versions that are deprecated with the same words.</summary>
/// <param name="Message">The words; null: they are deprecated no longer.</param>
/// <param name="Versions">The versions.</param>
public sealed record Deprecation(string? Message, IReadOnlyList<string> Versions);

/// <summary>A version and the one it was compared with.</summary>
/// <param name="Version">The version.</param>
/// <param name="Previous">The highest version below it (of stable versions the highest stable one); itself, when its manifest was changed in place.</param>
public sealed record ComparedVersion(string Version, string Previous);

/// <summary>A member and its old value.</summary>
public sealed record ChangedMember(string Name, OldValue Old);

/// <summary>
/// A value as it was before: absent, raw JSON inline, or, where bulky, a slice of the previous document, which the same commit
/// archives under its SHA-256.
/// </summary>
/// <param name="Json">The raw JSON, or null.</param>
/// <param name="Document">SHA-256 (hex) of the archived document that holds the value, or null.</param>
/// <param name="Offset">Where the value begins in that document's raw bytes.</param>
/// <param name="Length">Its length in bytes.</param>
public sealed record OldValue(string? Json, string? Document = null, int Offset = 0, int Length = 0)
{
    /// <summary>There was no such value.</summary>
    public static OldValue Absent { get; } = new((string?)null);

    /// <summary>True when there was no such value.</summary>
    [JsonIgnore]
    public bool IsAbsent => Json is null && Document is null;
}
