using NpmMirror.Log;
using NpmMirror.Packuments;

namespace NpmMirror.Tarballs;

/// <summary>Notices when a new document promises other bytes for a tarball that is held: a version republished, or a registry that was tampered with.</summary>
internal sealed class TarballPromises(TarballDownloads tarballs)
{
    /// <summary>Compares the stored tarballs of versions that changed, or appeared again, with their present promises.</summary>
    internal async Task CheckAsync(PackageName name, IReadOnlyList<RegistryEvent> events, PackumentIndex index, RawDocument document, CancellationToken cancellationToken)
    {
        foreach (var version in events.SelectMany(TouchedBy))
        {
            if (index.Find(version) is { } entry)
            {
                await tarballs.CheckPromiseAsync(name, version, Manifest.Promise(entry, document.Bytes), cancellationToken);
            }
        }
    }

    private static IEnumerable<string> TouchedBy(RegistryEvent change) => change switch
    {
        VersionPublished published => [published.Version],
        VersionChanged changed => changed.Versions.Where(version => version.Members.Any(member => member.Name == "dist")).Select(version => version.Version),
        _ => [],
    };
}
