using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>How one sync of one package ended: a closed family. Trouble is a <see cref="MirrorException"/> instead.</summary>
internal abstract record SyncResult
{
    private SyncResult()
    {
    }

    /// <summary>
    /// Why another try is due although nothing failed (the upstream's document is older than the feed said or than the stored one, a
    /// first 404 of a package that is held); null when the work is done.
    /// </summary>
    public string? RetryBecause { get; init; }

    /// <summary>When the upstream first said that the package is missing, to be handed to the next try.</summary>
    public DateTimeOffset? MissingSince { get; init; }

    /// <summary>Nothing was written.</summary>
    public sealed record Unchanged(PackageRow Row) : SyncResult;

    /// <summary>A new document was written; without events if only URLs or key order differ.</summary>
    /// <param name="Row">The row as written.</param>
    /// <param name="IsNew">True when the package was not held before, or was in the graveyard.</param>
    /// <param name="Events">The changes.</param>
    public sealed record Stored(PackageRow Row, bool IsNew, IReadOnlyList<RegistryEvent> Events) : SyncResult;

    /// <summary>The package was confirmed gone and is in the graveyard.</summary>
    public sealed record Removed(PackageRow Row, IReadOnlyList<RegistryEvent> Events) : SyncResult;

    /// <summary>The upstream has no such package and neither had this mirror.</summary>
    public sealed record Absent(int Status, string? Reason) : SyncResult;
}
