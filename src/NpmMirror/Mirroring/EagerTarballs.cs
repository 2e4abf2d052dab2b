using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Mirroring;

/// <summary>Fetches the tarballs of a document that are not held yet. One that cannot be had stops neither the others nor the document.</summary>
internal sealed partial class EagerTarballs(IMetadataStore store, RegistryClient upstream, TarballDownloads tarballs, int concurrency, ILogger logger)
{
    public async Task HoldAsync(PackageName name, PackumentIndex index, RawDocument document, CancellationToken cancellationToken)
    {
        var wanted = new List<(VersionEntry Version, string Url, TarballPromise Promise)>();
        foreach (var version in index.Versions)
        {
            var known = await store.FindTarballAsync(name, TarballUrls.FileName(name, version.Version), cancellationToken);
            if (known is not { State: TarballState.Held } && Manifest.TarballUrl(version, document.Bytes) is { } url)
            {
                wanted.Add((version, url, Manifest.Promise(version, document.Bytes)));
            }
        }

        var parallel = new ParallelOptions { MaxDegreeOfParallelism = concurrency, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(wanted, parallel, async (tarball, token) =>
        {
            try
            {
                // Nobody waits for it; the download itself, which a client may come to wait for, is not held back.
                await upstream.WaitForTurnAsync(token);
                if (await tarballs.StoreAsync(name, tarball.Version, tarball.Url, tarball.Promise, token) is { } absent)
                {
                    LogSkipped(name, tarball.Version.Version, absent.Reason);
                }
            }
            catch (MirrorException e)
            {
                LogSkipped(name, tarball.Version.Version, e.Message);
            }
        });
    }

    [LoggerMessage(EventIds.Mirroring + 2, LogLevel.Warning, "Tarball of {Package}@{Version} is not held: {Reason}")]
    private partial void LogSkipped(PackageName package, string version, string reason);
}
