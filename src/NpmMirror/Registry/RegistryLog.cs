using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Storage;

namespace NpmMirror.Registry;

/// <summary>
/// Follows the log so that this process also forgets what other processes changed. Its own commits were dropped before they
/// returned; dropping them again costs nothing that matters.
/// </summary>
public sealed partial class RegistryLog(IMetadataStore store, RenditionCache cache, TimeProvider time, ILogger<RegistryLog> logger) : BackgroundService
{
    private static readonly TimeSpan WaitAtMost = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AfterTrouble = TimeSpan.FromSeconds(1);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        LogPosition? seen = null;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (seen is null)
                {
                    seen = (await store.ReadHeadAsync(stoppingToken)).Position;
                    // What passed while nobody read is not known.
                    cache.DropAll();
                }

                seen = await FollowAsync(seen.Value, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is MirrorException or ObjectDisposedException)
            {
                LogTrouble(e.Message);
                await Task.Delay(AfterTrouble, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task<LogPosition> FollowAsync(LogPosition seen, CancellationToken cancellationToken)
    {
        if (await store.WaitForLogAsync(seen, WaitAtMost, cancellationToken) <= seen)
        {
            return seen;
        }

        await foreach (var row in store.ReadLogAsync(seen, cancellationToken))
        {
            cache.Drop(row.Package);
            seen = row.Position;
        }

        return seen;
    }

    [LoggerMessage(EventIds.Registry + 1, LogLevel.Warning, "The log cannot be read: {Reason} Changes made by other processes are served late until it can.")]
    private partial void LogTrouble(string reason);
}
