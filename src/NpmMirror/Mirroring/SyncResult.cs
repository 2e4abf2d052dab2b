using NpmMirror.History;
using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

/// <summary>How one sync of one package ended: a closed family. Trouble that another try may mend is a <see cref="MirrorException"/> instead.</summary>
public abstract record SyncResult
{
    private SyncResult()
    {
    }

    /// <summary>Nothing to write: the upstream says what is stored already.</summary>
    public sealed record Unchanged(PackageRow Row) : SyncResult;

    /// <summary>A new document was written; without events when only URLs or key order differ.</summary>
    public sealed record Stored(PackageRow Row, IReadOnlyList<RegistryEvent> Events) : SyncResult;

    /// <summary>The package was confirmed gone and is in the graveyard.</summary>
    public sealed record Removed(PackageRow Row, IReadOnlyList<RegistryEvent> Events) : SyncResult;

    /// <summary>The upstream has no such package and neither had this mirror.</summary>
    public sealed record Absent(int Status, string? Reason) : SyncResult;

    /// <summary>The upstream's answer is not to be believed yet (an older rev than wanted or stored, a first 404): what is stored stays; try again.</summary>
    public sealed record TooEarly(PackageRow? Row, string Reason, DateTimeOffset? MissingSince) : SyncResult;
}
