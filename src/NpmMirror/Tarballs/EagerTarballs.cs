using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Tarballs;

/// <summary>A tarball that is to be fetched ahead, as its packument describes it.</summary>
internal sealed record WantedTarball(VersionEntry Version, string Url, TarballPromise Promise);

/// <summary>Fetches the tarballs of a document that are not held yet. One that cannot be had stops neither the others nor the document, and is asked for again.</summary>
internal sealed partial class EagerTarballs(ITarballTable rows, RegistryClient upstream, TarballDownloads tarballs, int concurrency, TimeProvider time, ILogger logger) : IDisposable
{
    /// <summary>How often a tarball is tried if its host, or this mirror, is busy; each time after the wait that was asked for.</summary>
    private const int BusyTriesMax = 5;

    private static readonly TimeSpan BusyPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BusyPauseMax = TimeSpan.FromMinutes(2);

    // For the tarballs of all packages together: a queue of hundreds of packages waits here, each tarball for its turn.
    private readonly RequestPlaces _places = new(concurrency, time);

    private long _left;

    /// <summary>Tarballs that are being fetched ahead, or wait for it.</summary>
    public long Left => Interlocked.Read(ref _left);

    /// <summary>Whether a tarball of a package that is held is not: something failed before, or nothing was fetched ahead then.</summary>
    public async Task<bool> IsAnyMissingAsync(PackageRow row, CancellationToken cancellationToken) =>
        (await FindMissingAsync(row.Name, PackumentIndex.FromBytes(row.Index.Span, row.Name), cancellationToken)).Count > 0;

    /// <summary>The missing tarballs, read out of the document: it need not be held while they are fetched.</summary>
    public async Task<IReadOnlyList<WantedTarball>> FindWantedAsync(PackageName name, PackumentIndex index, RawDocument document, CancellationToken cancellationToken)
    {
        var wanted = new List<WantedTarball>();
        foreach (var version in await FindMissingAsync(name, index, cancellationToken))
        {
            if (Manifest.TarballUrl(version, document.Bytes) is { } url)
            {
                wanted.Add(new WantedTarball(version, url, Manifest.Promise(version, document.Bytes)));
            }
        }

        return wanted;
    }

    /// <summary>Fetches missing tarballs. Why the package must be tried again, or null if all of them are held.</summary>
    public async Task<string?> HoldAsync(PackageName name, IReadOnlyList<WantedTarball> wanted, CancellationToken cancellationToken)
    {
        var failures = new ConcurrentQueue<string>();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = concurrency, CancellationToken = cancellationToken };
        var left = wanted.Count;
        Interlocked.Add(ref _left, left);
        try
        {
            await Parallel.ForEachAsync(wanted, parallel, async (tarball, token) =>
            {
                if (await TryHoldAsync(name, tarball, token) is { } reason)
                {
                    failures.Enqueue($"{tarball.Version.Version}: {reason}");
                    LogSkipped(name, tarball.Version.Version, reason);
                }

                Interlocked.Decrement(ref left);
                Interlocked.Decrement(ref _left);
            });
        }
        finally
        {
            Interlocked.Add(ref _left, -left);
        }

        return failures.TryPeek(out var first) ? $"{failures.Count} of its tarballs could not be fetched: {first}" : null;
    }

    /// <inheritdoc/>
    public void Dispose() => _places.Dispose();

    /// <summary>Null when the tarball is held, else why not.</summary>
    private async Task<string?> TryHoldAsync(PackageName name, WantedTarball tarball, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                return (await StoreAsync(name, tarball, cancellationToken))?.Reason;
            }
            catch (MirrorException busy) when (busy.Fault == MirrorFault.UpstreamBusy && tries < BusyTriesMax)
            {
                // No client waits for it: late is better than failed. The place is given back meanwhile.
                var pause = busy.RetryAfter is { } asked && asked > BusyPause ? asked : BusyPause;
                await Task.Delay(pause < BusyPauseMax ? pause : BusyPauseMax, time, cancellationToken);
            }
            catch (MirrorException e)
            {
                return e.Message;
            }
        }
    }

    private async Task<TarballResult.Absent?> StoreAsync(PackageName name, WantedTarball tarball, CancellationToken cancellationToken)
    {
        // No client waits for it; the download itself, for which a client may come to wait, is not held back.
        await upstream.WaitForTurnAsync(cancellationToken);
        using var place = await _places.EnterAsync(cancellationToken);
        return await tarballs.StoreAsync(name, tarball.Version, tarball.Url, tarball.Promise, cancellationToken);
    }

    private async Task<List<VersionEntry>> FindMissingAsync(PackageName name, PackumentIndex index, CancellationToken cancellationToken)
    {
        var missing = new List<VersionEntry>();
        foreach (var version in index.Versions)
        {
            if (await rows.FindTarballAsync(name, TarballUrls.FileName(name, version.Version), cancellationToken) is not { State: TarballState.Held })
            {
                missing.Add(version);
            }
        }

        return missing;
    }

    [LoggerMessage(EventIds.Mirror + 2, LogLevel.Warning, "Tarball of {Package}@{Version} is not held: {Reason}")]
    private partial void LogSkipped(PackageName package, string version, string reason);
}
