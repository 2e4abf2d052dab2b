using System.Text;
using System.Text.Unicode;
using NpmMirror.Log;
using NpmMirror.Packuments;

namespace NpmMirror.Syncing;

/// <summary>
/// The events that lead from one document to the next. Old values go inline as long as that is smaller than keeping the whole
/// previous document; else they are slices of it, and it is archived.
/// </summary>
internal sealed class DocumentEvents
{
    private const int InlineAlwaysBytes = 4096;

    private readonly string _oldSha256;
    private bool _usesSlices;

    private DocumentEvents(string oldSha256) => _oldSha256 = oldSha256;

    /// <summary>Whether an event points into the previous document.</summary>
    public bool ArchivesPrevious { get; private set; }

    /// <summary>The events, in the order: versions published, changed, removed, tags, maintainers, the rest, and remarks about them.</summary>
    public IReadOnlyList<RegistryEvent> Events { get; private set; } = [];

    /// <summary>The events for a package that was not there before.</summary>
    public static RegistryEvent OfFirstSight(PackumentIndex index, DateTimeOffset seenAt) =>
        new PackageAdded(index.Versions.Count, index.DistTags) { At = index.ModifiedAt, SeenAt = seenAt, UpstreamRev = index.Rev };

    /// <summary>The events of a difference.</summary>
    /// <param name="diff">The difference.</param>
    /// <param name="oldIndex">The previous document's index.</param>
    /// <param name="oldDocument">The previous document.</param>
    /// <param name="oldSha256">Its digest.</param>
    /// <param name="oldStoredBytes">The cost of archiving it.</param>
    /// <param name="newIndex">The new document's index.</param>
    /// <param name="newDocument">The new document.</param>
    /// <param name="seenAt">Now.</param>
    /// <param name="neverInlines">Whether old values are always slices: an archived document can be purged and leave the event readable.</param>
    public static DocumentEvents Of(
        PackumentDiff diff,
        PackumentIndex oldIndex,
        ReadOnlySpan<byte> oldDocument,
        Digest oldSha256,
        int oldStoredBytes,
        PackumentIndex newIndex,
        ReadOnlySpan<byte> newDocument,
        DateTimeOffset seenAt,
        bool neverInlines = false)
    {
        var writer = new DocumentEvents(oldSha256.Hex);
        writer._usesSlices = neverInlines || OldBytes(diff, oldIndex) > Math.Max(InlineAlwaysBytes, oldStoredBytes);
        var events = new List<RegistryEvent>();
        foreach (var version in diff.Added)
        {
            events.Add(new VersionPublished(version.Version) { At = version.PublishedAt });
        }

        if (diff.Changed.Count > 0)
        {
            var changed = new List<ChangedVersion>(diff.Changed.Count);
            foreach (var change in diff.Changed)
            {
                changed.Add(new ChangedVersion(change.Version, writer.Members(change.Members, oldDocument)));
            }

            events.Add(new VersionChanged(changed) { At = newIndex.ModifiedAt });
        }

        foreach (var version in diff.Removed)
        {
            var time = version.PublishedAt?.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);
            events.Add(new VersionRemoved(version.Version, writer.Old(version.Manifest, oldDocument), time) { At = newIndex.ModifiedAt });
        }

        foreach (var (tag, from, to) in diff.Tags)
        {
            events.Add(new DistTagMoved(tag, from, to) { At = newIndex.ModifiedAt });
        }

        if (diff.AreMaintainersChanged)
        {
            var to = newIndex.Maintainers.IsEmpty ? OldValue.Absent : new OldValue(Encoding.UTF8.GetString(newIndex.Maintainers.Of(newDocument)));
            events.Add(new MaintainersChanged(writer.Old(oldIndex.Maintainers, oldDocument), to) { At = newIndex.ModifiedAt });
        }

        if (diff.Members.Count > 0)
        {
            events.Add(new MetadataChanged(writer.Members(diff.Members, oldDocument)) { At = newIndex.ModifiedAt });
        }

        events.AddRange(VersionNotices.Of(diff, oldIndex, oldDocument, newIndex, newDocument));
        writer.Events = events.ConvertAll(e => e with { SeenAt = seenAt, UpstreamRev = newIndex.Rev });
        return writer;
    }

    /// <summary>The events of a change from an unreadable document: the differences of the indexes, without old values.</summary>
    public static DocumentEvents OfLost(PackumentIndex oldIndex, PackumentIndex newIndex, ReadOnlySpan<byte> newDocument, DateTimeOffset seenAt)
    {
        var told = PackumentDiff.CompareIndexes(oldIndex, newIndex);
        var diff = told with { Removed = [.. told.Removed.Select(version => version with { Manifest = default })] };
        var writer = Of(diff, oldIndex, default, default, 0, newIndex, newDocument, seenAt);
        if (writer.Events.Count == 0)
        {
            // Something differs, or there would be no change to tell.
            writer.Events = [new MetadataChanged([]) { At = newIndex.ModifiedAt, SeenAt = seenAt, UpstreamRev = newIndex.Rev }];
        }

        return writer;
    }

    private static long OldBytes(PackumentDiff diff, PackumentIndex oldIndex) =>
        diff.Changed.Sum(change => change.Members.Sum(member => (long)member.OldValue.Length))
        + diff.Removed.Sum(version => (long)version.Manifest.Length)
        + diff.Members.Sum(member => (long)member.OldValue.Length)
        + (diff.AreMaintainersChanged ? oldIndex.Maintainers.Length : 0);

    private List<ChangedMember> Members(IReadOnlyList<MemberChange> members, ReadOnlySpan<byte> oldDocument)
    {
        var changed = new List<ChangedMember>(members.Count);
        foreach (var member in members)
        {
            changed.Add(new ChangedMember(member.Name, Old(member.OldValue, oldDocument)));
        }

        return changed;
    }

    private OldValue Old(Slice slice, ReadOnlySpan<byte> oldDocument)
    {
        if (slice.IsEmpty)
        {
            return OldValue.Absent;
        }

        // Bytes that are not UTF-8 would not survive a string.
        if (!_usesSlices && Utf8.IsValid(slice.Of(oldDocument)))
        {
            return new OldValue(Encoding.UTF8.GetString(slice.Of(oldDocument)));
        }

        ArchivesPrevious = true;
        return new OldValue(null, _oldSha256, slice.Offset, slice.Length);
    }
}
