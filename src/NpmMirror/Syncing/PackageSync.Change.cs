using System.Text.Json;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <content>The events of a new document. An unreadable stored one does not stop the package.</content>
internal sealed partial class PackageSync
{
    /// <summary>The change from the stored document to the new one.</summary>
    private async Task<Change> FindChangeAsync(PackageRow row, RemovalKind? removal, PackumentIndex index, RawDocument document, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var oldIndex = TryReadIndex(row);
        if (removal is not null && row.Facts.Removal is null)
        {
            // The holding package says nothing of its predecessor: one event, and the last known document in the archive.
            var removed = new PackageRemoved(removal.Value, null, row.DocumentSha256.Hex) { At = index.ModifiedAt, SeenAt = now, UpstreamRev = index.Rev };
            return new Change([removed], true);
        }

        StoredPackage? stored;
        try
        {
            stored = await _measured.MeasureAsync("read", () => _packages.ReadAsync(row.Name, cancellationToken));
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            LogUnreadable(row.Name, damage.Message);
            return new Change(DocumentEvents.OfLost(oldIndex ?? index, index, document.Bytes, now).Events, false);
        }

        if (stored is null || stored.Row.Generation != row.Generation)
        {
            // The commit will find the other generation and everything is decided again.
            return Change.None;
        }

        var oldDocument = stored.Document;
        using var raw = await document.CreateBesideAsync(oldDocument.RawSizeBytes, cancellationToken);
        var changes = (TryDecode(row.Name, oldDocument, raw) ? TryCompare(row.Name, oldIndex, oldDocument, raw, index, document, now) : null)
            ?? DocumentEvents.OfLost(oldIndex ?? index, index, document.Bytes, now);
        if (row.Facts.Removal is null || removal is not null)
        {
            return new Change(changes.Events, changes.ArchivesPrevious);
        }

        var restored = new PackageRestored { At = index.ModifiedAt, SeenAt = now, UpstreamRev = index.Rev };
        return new Change([restored, .. changes.Events], changes.ArchivesPrevious);
    }

    /// <summary>The events, or null if the stored index is not that of the stored document.</summary>
    private DocumentEvents? TryCompare(PackageName name, PackumentIndex? oldIndex, StoredDocument stored, RawDocument oldDocument, PackumentIndex index, RawDocument document, DateTimeOffset now)
    {
        try
        {
            oldIndex ??= PackumentReader.Read(oldDocument.Bytes, name, hashSeed: index.HashSeed).Index;
            return EventsOf(PackumentDiff.Compare(oldIndex, oldDocument.Bytes, index, document.Bytes), oldIndex, stored, oldDocument, index, document, now);
        }
        catch (Exception e) when (e is JsonException or ArgumentException or IndexOutOfRangeException)
        {
            LogUnreadable(name, "Its index does not fit its document.");
            return null;
        }
    }

    private DocumentEvents EventsOf(PackumentDiff diff, PackumentIndex oldIndex, StoredDocument stored, RawDocument oldDocument, PackumentIndex index, RawDocument document, DateTimeOffset now)
    {
        var neverInlines = diff.Removed.Count > 0 && _options.Removed.Unpublished == RemovedMode.Purge;
        return DocumentEvents.Of(diff, oldIndex, oldDocument.Bytes, stored.Sha256, stored.Bytes.Length, index, document.Bytes, now, neverInlines);
    }

    private PackumentIndex? TryReadIndex(PackageRow row)
    {
        try
        {
            return PackumentIndex.FromBytes(row.Index.Span, row.Name);
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            LogUnreadable(row.Name, damage.Message);
            return null;
        }
    }

    private bool TryDecode(PackageName name, StoredDocument stored, RawDocument target)
    {
        try
        {
            DocumentCodecs.DecodeInto(name, stored, target);
            return true;
        }
        catch (MirrorException trouble) when (trouble.Fault is MirrorFault.StoreUnavailable or MirrorFault.StoreDamaged)
        {
            // Purged, or damaged: its details are lost, and must not stop the package.
            LogUnreadable(name, trouble.Message);
            return false;
        }
    }

    private sealed record Change(IReadOnlyList<RegistryEvent> Events, bool ArchivesPrevious)
    {
        public static Change None { get; } = new([], false);

        public static Change FirstSight(PackumentIndex index, DateTimeOffset now) => None with { Events = [DocumentEvents.OfFirstSight(index, now)] };
    }

    [LoggerMessage(EventIds.Mirror + 9, LogLevel.Warning, "The previous document of {Package} cannot be read, so its change is told only as far as the index knows: {Reason}")]
    private partial void LogUnreadable(PackageName package, string reason);
}
