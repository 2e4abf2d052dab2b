using NpmMirror.Options;

namespace NpmMirror.Maintenance;

/// <summary>Why something was collected, or would be.</summary>
public enum GarbageKind
{
    /// <summary>Begun by a process that died.</summary>
    Unfinished,

    /// <summary>No row has named its bytes during the grace period.</summary>
    Unreferenced,

    /// <summary>The tarballs are over their budget, and this one was served longest ago.</summary>
    Evicted,

    /// <summary>Its package or version was removed upstream, and <c>removed</c> says purge.</summary>
    Purged,

    /// <summary>Attestations of a version that is not held any more, or more of them than <see cref="MirrorOptions.AttestationsMaxBytes"/>.</summary>
    Attestation,
}

/// <summary>An item that was collected, or in a dry run would be.</summary>
/// <param name="Kind">The reason.</param>
/// <param name="Subject">A tarball, a blob's hash, or a package whose past was dropped.</param>
/// <param name="SizeBytes">The bytes that it took.</param>
public readonly record struct CollectedItem(GarbageKind Kind, string Subject, long SizeBytes);

/// <summary>The result of a collection.</summary>
public sealed record Collected
{
    /// <summary>True when nothing was changed: all of this would go.</summary>
    public bool IsDryRun { get; init; }

    /// <summary>How many items of each kind, and how many bytes.</summary>
    public IReadOnlyDictionary<GarbageKind, (long Count, long SizeBytes)> Kinds { get; init; } = new Dictionary<GarbageKind, (long, long)>();

    /// <summary>Bytes of tarballs held afterwards, each counted as often as it is in the table.</summary>
    public long HeldBytes { get; init; }

    /// <summary>Of those, bytes of tarballs that the upstream could not give again: they are never evicted. They are counted only when the tarballs are over their budget.</summary>
    public long IrreplaceableBytes { get; init; }

    /// <summary>How many bytes the tarballs are still over their budget; 0 if they are not, or have none.</summary>
    public long OverBudgetBytes { get; init; }

    /// <summary>Records of clients' fetches that were older than their retention.</summary>
    public long ForgottenAccesses { get; init; }

    /// <summary>All bytes freed.</summary>
    public long FreedBytes => Kinds.Values.Sum(kind => kind.SizeBytes);
}
