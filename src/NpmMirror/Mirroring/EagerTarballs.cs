using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

/// <summary>Fetches the tarballs of a document that are not held yet. One that cannot be had stops neither the others nor the document.</summary>
internal sealed partial class EagerTarballs(IMetadataStore store, TarballDownloads tarballs, int concurrency, ILogger logger)
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
                if (await tarballs.OpenAsync(name, tarball.Version, tarball.Url, tarball.Promise, token) is TarballResult.Opened opened)
                {
                    await using var reading = opened.Reading;
                    await DrainAsync(reading, token);
                }
            }
            catch (MirrorException e)
            {
                LogSkipped(name, tarball.Version.Version, e.Message);
            }
        });
    }

    private static async Task DrainAsync(TarballReading reading, CancellationToken cancellationToken)
    {
        if (!reading.Sha512.IsEmpty)
        {
            return;
        }

        var buffer = new byte[16 * 1024];
        for (long offset = 0; await reading.ReadAsync(offset, buffer, cancellationToken) is var read and > 0;)
        {
            offset += read;
        }
    }

    [LoggerMessage(EventIds.Mirroring + 2, LogLevel.Warning, "Tarball of {Package}@{Version} is not held: {Reason}")]
    private partial void LogSkipped(PackageName package, string version, string reason);
}
