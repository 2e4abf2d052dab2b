namespace NpmMirror.Packuments;

/// <summary>A member of an object and where its old value lies in the old document; an empty slice = there was none.</summary>
internal readonly record struct MemberChange(string Name, Slice OldValue);

/// <summary>A version whose manifest changed in meaning.</summary>
internal sealed record ManifestChange(string Version, IReadOnlyList<MemberChange> Members);

/// <summary>The differences between two documents of one package, in meaning: not key order, not the URLs of files.</summary>
internal sealed record PackumentDiff
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

    /// <summary>
    /// Other top-level members that differ, <c>modified</c> excepted. <c>time</c> appears (with its whole old value) only when an entry of a version of
    /// both, or <c>created</c>, differs; <c>versions</c> and <c>dist-tags</c> only when a part differs that is no manifest and no tag.
    /// </summary>
    public IReadOnlyList<MemberChange> Members { get; init; } = [];

    /// <summary>True when nothing differs.</summary>
    public bool IsEmpty => Added.Count == 0 && Removed.Count == 0 && Changed.Count == 0 && Tags.Count == 0 && !AreMaintainersChanged && Members.Count == 0;

    /// <summary>Compares two documents of one package.</summary>
    public static PackumentDiff Compare(PackumentIndex oldIndex, ReadOnlySpan<byte> oldDocument, PackumentIndex newIndex, ReadOnlySpan<byte> newDocument)
    {
        var comparison = new PackumentComparison(oldIndex, oldDocument, newIndex, newDocument);
        return new PackumentDiff
        {
            Added = PackumentComparison.Without(newIndex, oldIndex),
            Removed = PackumentComparison.Without(oldIndex, newIndex),
            Changed = comparison.Manifests(),
            Tags = comparison.Tags(),
            AreMaintainersChanged = comparison.AreMaintainersChanged(),
            Members = comparison.Members(),
        };
    }

    /// <summary>The differences that the indexes alone show, if the old document is lost: versions that came or went, and tags.</summary>
    public static PackumentDiff CompareIndexes(PackumentIndex oldIndex, PackumentIndex newIndex) => new()
    {
        Added = PackumentComparison.Without(newIndex, oldIndex),
        Removed = PackumentComparison.Without(oldIndex, newIndex),
        Tags = new PackumentComparison(oldIndex, default, newIndex, default).Tags(),
    };
}
