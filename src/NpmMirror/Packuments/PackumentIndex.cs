namespace NpmMirror.Packuments;

/// <summary>Where a piece of a document's raw bytes lies.</summary>
/// <param name="Offset">The first byte; meaningless where <paramref name="Length"/> is 0.</param>
/// <param name="Length">How many bytes; 0 = there is no such piece.</param>
public readonly record struct Slice(int Offset, int Length)
{
    /// <summary>There is no such piece.</summary>
    public bool IsEmpty => Length == 0;

    /// <summary>The piece of the document.</summary>
    public ReadOnlySpan<byte> Of(ReadOnlySpan<byte> document) => document.Slice(Offset, Length);
}

/// <summary>One version of a packument, as far as the index knows it. Everything else is read from the slice when needed.</summary>
/// <param name="Version">The key in <c>versions</c>, unescaped; any text, not always semver.</param>
/// <param name="Manifest">The manifest: its JSON value in the raw bytes.</param>
/// <param name="TarballUrl">The value of <c>dist.tarball</c>, quotes included; empty if there is none.</param>
/// <param name="AttestationsUrl">The value of <c>dist.attestations.url</c>, quotes included; empty if there is none.</param>
/// <param name="Hash">A hash of the manifest without those two values, with <see cref="PackumentIndex.HashSeed"/>.</param>
/// <param name="PublishedAt">Its entry in <c>time</c>; null if missing or no date.</param>
public readonly record struct VersionEntry(string Version, Slice Manifest, Slice TarballUrl, Slice AttestationsUrl, ulong Hash, DateTimeOffset? PublishedAt);

/// <summary>
/// The slim index of a packument, made in one pass over its bytes and stored beside it: enough to answer lookups, compare with
/// another document and render by copying slices, without parsing again.
/// </summary>
public sealed partial class PackumentIndex
{
    private Dictionary<string, int>? _byVersion;

    /// <summary>An index to be filled by its members.</summary>
    public PackumentIndex()
    {
    }

    /// <summary>An index whose maker has a lookup of the versions at hand.</summary>
    internal PackumentIndex(Dictionary<string, int> byVersion) => _byVersion = byVersion;

    /// <summary>The document's <c>name</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The document's <c>_rev</c>, or null.</summary>
    public string? Rev { get; init; }

    /// <summary><c>modified</c> or <c>time.modified</c>, else the newest entry of <c>time</c>; null if it tells none.</summary>
    public DateTimeOffset? ModifiedAt { get; init; }

    /// <summary><c>time.created</c>, or null.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    /// <summary>The versions in document order, each once (the last of equal keys wins).</summary>
    public required IReadOnlyList<VersionEntry> Versions { get; init; }

    /// <summary>The dist-tags whose values are strings.</summary>
    public required IReadOnlyDictionary<string, string> DistTags { get; init; }

    /// <summary>The value of the top-level <c>versions</c>; empty if there is none.</summary>
    public Slice VersionsValue { get; init; }

    /// <summary>The value of the top-level <c>time</c>; empty if there is none.</summary>
    public Slice Time { get; init; }

    /// <summary>The value of the top-level <c>maintainers</c>; empty if there is none.</summary>
    public Slice Maintainers { get; init; }

    /// <summary>
    /// The seed of the hashes here: hashes of two indexes may be compared where both have the same. 0 in an index that an earlier program stored, with hashes
    /// of another kind.
    /// </summary>
    public ulong HashSeed { get; init; }

    /// <summary>A hash of <see cref="Time"/>; 0 if there is none.</summary>
    public ulong TimeHash { get; init; }

    /// <summary>A hash of <see cref="Maintainers"/>; 0 if there are none.</summary>
    public ulong MaintainersHash { get; init; }

    /// <summary>
    /// A hash of the top-level members other than <c>versions</c>, <c>dist-tags</c>, <c>time</c>, <c>maintainers</c> and <c>modified</c>.
    /// </summary>
    public ulong RestHash { get; init; }

    /// <summary>
    /// True if a part of <c>versions</c> or <c>dist-tags</c> is left out here, because it is no object or no text: then no hash covers it, and only
    /// <see cref="PackumentDiff.Compare"/> knows what changed.
    /// </summary>
    public bool HasLeftOut { get; init; }

    /// <summary>The length of the document that the slices are of; 0 where unknown.</summary>
    public int DocumentSizeBytes { get; init; }

    /// <summary>True when the document says of itself that the package was unpublished: <c>time.unpublished</c> and no versions.</summary>
    public bool IsUnpublished { get; init; }

    /// <summary>True when npm's security team holds the name: only <c>0.0.1-security</c>-like versions.</summary>
    public bool IsSecurityHolder { get; init; }

    /// <summary>The entry of a version, or null.</summary>
    public VersionEntry? Find(string version) => IndexOf(version) is var at and >= 0 ? Versions[at] : null;

    /// <summary>The place of a version in <see cref="Versions"/>, or -1.</summary>
    public int IndexOf(string version)
    {
        // Built at the first look-up: most indexes are only compared.
        _byVersion ??= BuildLookup();
        return _byVersion.TryGetValue(version, out var at) ? at : -1;
    }

    private Dictionary<string, int> BuildLookup()
    {
        var lookup = new Dictionary<string, int>(Versions.Count, StringComparer.Ordinal);
        for (var i = 0; i < Versions.Count; i++)
        {
            lookup[Versions[i].Version] = i;
        }

        return lookup;
    }
}
