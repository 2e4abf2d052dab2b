using NpmMirror.Log;

namespace NpmMirror.Removals;

/// <summary>Something that the upstream took down: a package, or a version of one.</summary>
/// <param name="Package">The package.</param>
/// <param name="Version">The version; null for a whole package, and for one whose name was purged.</param>
/// <param name="Kind">How it went.</param>
/// <param name="At">When the upstream says it happened; null where it does not say.</param>
/// <param name="SeenAt">When this mirror saw it.</param>
/// <param name="Reason">What the upstream said, where it did.</param>
/// <param name="Position">Its place in the log.</param>
/// <param name="IsBack">Whether it has come back since.</param>
/// <param name="IsPurged">Whether what it said was dropped.</param>
/// <param name="Clients">Who had fetched its tarballs from this mirror, by address; the first ten thousand.</param>
/// <param name="ClientCount">How many there are.</param>
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

/// <summary>A client that fetched what was taken down later.</summary>
/// <param name="Client">Its address.</param>
/// <param name="Before">How often until the day it was taken down, that day included.</param>
/// <param name="After">How often since: old lockfiles install what is stored.</param>
/// <param name="FirstDay">The first day (UTC).</param>
/// <param name="LastDay">The last day (UTC).</param>
internal sealed record TakedownClient(string Client, long Before, long After, DateOnly FirstDay, DateOnly LastDay);
