namespace NpmMirror.Packuments;

/// <summary>A member of an object and where its old value lies in the old document; an empty slice = there was none.</summary>
public readonly record struct MemberChange(string Name, Slice OldValue);

/// <summary>A version whose manifest changed in meaning.</summary>
public sealed record ManifestChange(string Version, IReadOnlyList<MemberChange> Members);

/// <summary>What differs between two documents of one package, in meaning: not key order, not the URLs of files.</summary>
public sealed record PackumentDiff
{
    /// <summary>Versions only the new document has, in its order.</summary>
    public IReadOnlyList<VersionEntry> Added { get; init; } = [];

    /// <summary>Versions only the old document has.</summary>
    public IReadOnlyList<VersionEntry> Removed { get; init; } = [];

    /// <summary>Versions of both whose manifests differ.</summary>
    public IReadOnlyList<ManifestChange> Changed { get; init; } = [];

    /// <summary>Dist-tags that differ: tag, old version or null, new version or null.</summary>
    public IReadOnlyList<(string Tag, string? From, string? To)> Tags { get; init; } = [];

    /// <summary>True when the maintainers differ; their slices are in the two indexes.</summary>
    public bool AreMaintainersChanged { get; init; }

    /// <summary>Other top-level members that differ. <c>time</c> appears (with its whole old value) only when an entry of a version of both, or <c>created</c>, differs.</summary>
    public IReadOnlyList<MemberChange> Members { get; init; } = [];

    /// <summary>True when nothing differs.</summary>
    public bool IsEmpty => Added.Count == 0 && Removed.Count == 0 && Changed.Count == 0 && Tags.Count == 0 && !AreMaintainersChanged && Members.Count == 0;

    /// <summary>
    /// True when the indexes alone show that nothing differs but URLs of files: then <see cref="Compare"/> is not needed, nor the
    /// old document.
    /// </summary>
    public static bool IsSame(PackumentIndex oldIndex, ReadOnlySpan<byte> oldDocument, PackumentIndex newIndex, ReadOnlySpan<byte> newDocument) => throw new NotImplementedException();

    /// <summary>Compares two documents of one package.</summary>
    public static PackumentDiff Compare(PackumentIndex oldIndex, ReadOnlySpan<byte> oldDocument, PackumentIndex newIndex, ReadOnlySpan<byte> newDocument) => throw new NotImplementedException();
}
