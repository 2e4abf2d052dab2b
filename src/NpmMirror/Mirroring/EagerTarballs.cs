using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Mirroring;

/// <summary>Fetches the tarballs of a document that are not held yet. One that cannot be had stops neither the others nor the document, and is asked for again.</summary>
internal sealed partial class EagerTarballs(IMetadataStore store, RegistryClient upstream, TarballDownloads tarballs, int concurrency, ILogger logger)
{
    /// <summary>Whether a tarball of a package that is held is not: something failed before, or nothing was fetched ahead then.</summary>
    public async Task<bool> IsAnyMissingAsync(PackageRow row, CancellationToken cancellationToken) =>
        (await FindMissingAsync(row.Name, PackumentIndex.FromBytes(row.Index.Span), cancellationToken)).Count > 0;

    /// <summary>Fetches what is missing. Why the package is to be tried again, or null when all of it is held.</summary>
    public async Task<string?> HoldAsync(PackageName name, PackumentIndex index, RawDocument document, CancellationToken cancellationToken)
    {
        var wanted = new List<(VersionEntry Version, string Url, TarballPromise Promise)>();
        foreach (var version in await FindMissingAsync(name, index, cancellationToken))
        {
            if (Manifest.TarballUrl(version, document.Bytes) is { } url)
            {
                wanted.Add((version, url, Manifest.Promise(version, document.Bytes)));
            }
        }

        var failures = new ConcurrentQueue<string>();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = concurrency, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(wanted, parallel, async (tarball, token) =>
        {
            try
            {
                // Nobody waits for it; the download itself, which a client may come to wait for, is not held back.
                await upstream.WaitForTurnAsync(token);
                if (await tarballs.StoreAsync(name, tarball.Version, tarball.Url, tarball.Promise, token) is { } absent)
                {
                    Note(tarball.Version.Version, absent.Reason);
                }
            }
            catch (MirrorException e)
            {
                Note(tarball.Version.Version, e.Message);
            }
        });
        return failures.TryPeek(out var first) ? $"{failures.Count} of its tarballs could not be fetched: {first}" : null;

        void Note(string version, string reason)
        {
            failures.Enqueue($"{version}: {reason}");
            LogSkipped(name, version, reason);
        }
    }

    private async Task<List<VersionEntry>> FindMissingAsync(PackageName name, PackumentIndex index, CancellationToken cancellationToken)
    {
        var missing = new List<VersionEntry>();
        foreach (var version in index.Versions)
        {
            if (await store.FindTarballAsync(name, TarballUrls.FileName(name, version.Version), cancellationToken) is not { State: TarballState.Held })
            {
                missing.Add(version);
            }
        }

        return missing;
    }

    [LoggerMessage(EventIds.Mirroring + 2, LogLevel.Warning, "Tarball of {Package}@{Version} is not held: {Reason}")]
    private partial void LogSkipped(PackageName package, string version, string reason);
}
