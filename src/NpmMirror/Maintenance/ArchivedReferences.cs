using NpmMirror.Log;

namespace NpmMirror.Maintenance;

/// <summary>Which documents of the past an event points into.</summary>
internal static class ArchivedReferences
{
    /// <summary>Their SHA-256; none for a row whose payload was purged.</summary>
    /// <exception cref="MirrorException">The payload cannot be read.</exception>
    internal static HashSet<Digest> Of(LogRow row)
    {
        // Most events point to no document, and need not be read to know it.
        if (row.Payload is not { } payload || (row.Type != EventTypes.PackageRemoved && payload.Span.IndexOf("\"document\""u8) < 0))
        {
            return [];
        }

        return [.. Hashes(EventPayload.FromRow(row)!).Where(hash => hash is { Length: > 0 }).Select(hash => Digest.FromHex(hash!))];
    }

    private static IEnumerable<string?> Hashes(RegistryEvent told) => told switch
    {
        PackageRemoved removed => [removed.Archived],
        VersionRemoved removed => [removed.Manifest.Document],
        VersionChanged changed => changed.Versions.SelectMany(version => version.Members).Select(member => member.Old.Document),
        MaintainersChanged changed => [changed.From.Document, changed.To.Document],
        MetadataChanged changed => changed.Members.Select(member => member.Old.Document),
        _ => [],
    };
}
