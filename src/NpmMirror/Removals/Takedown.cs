using NpmMirror.Log;

namespace NpmMirror.Removals;

/// <summary>A takedown by the upstream: of a package, or a version of one.</summary>
/// <param name="Package">The package.</param>
/// <param name="Version">The version; null for a whole package, and for one whose name was purged.</param>
/// <param name="Kind">The kind of takedown.</param>
/// <param name="At">The upstream's time of it; null if it gives none.</param>
/// <param name="SeenAt">When this mirror saw it.</param>
/// <param name="Reason">The upstream's reason, if it gave one.</param>
/// <param name="Position">Its place in the log.</param>
/// <param name="IsBack">Whether it has come back since.</param>
/// <param name="IsPurged">Whether its content was purged.</param>
/// <param name="Clients">The clients that had fetched its tarballs from this mirror, by address; the first ten thousand.</param>
/// <param name="ClientCount">The number of clients.</param>
internal sealed record Takedown(
    PackageName Package,
    string? Version,
    RemovalKind Kind,
    DateTimeOffset? At,
    DateTimeOffset SeenAt,
    string? Reason,
    LogPosition Position,
    bool IsBack,
    bool IsPurged,
    IReadOnlyList<TakedownClient> Clients,
    long ClientCount);

/// <summary>A client that fetched a tarball that was taken down later.</summary>
/// <param name="Client">Its address.</param>
/// <param name="Before">Its fetches until the day of the takedown, that day included.</param>
/// <param name="After">Its fetches since: old lockfiles install stored tarballs.</param>
/// <param name="FirstDay">The first day (UTC).</param>
/// <param name="LastDay">The last day (UTC).</param>
internal sealed record TakedownClient(string Client, long Before, long After, DateOnly FirstDay, DateOnly LastDay);
