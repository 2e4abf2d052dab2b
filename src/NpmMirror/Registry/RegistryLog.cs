using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Storage;

namespace NpmMirror.Registry;

/// <summary>
/// Follows the log so that this process also forgets what other processes changed. Its own commits were dropped before they
/// returned; dropping them again costs nothing that matters. It is the one reader of the log in a process: who waits for the log to grow
/// waits here, so that ten thousand waiting clients cost the store no more than one.
/// </summary>
public sealed partial class RegistryLog(IMetadataStore store, RenditionCache cache, TimeProvider time, ILogger<RegistryLog> logger) : BackgroundService
{
    private static readonly TimeSpan WaitAtMost = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AfterTrouble = TimeSpan.FromSeconds(1);

    private readonly LogSignal _signal = new();

    /// <summary>Waits until the log's head is behind <paramref name="after"/>, at most <paramref name="timeout"/>; returns the head as far as it is known.</summary>
    public ValueTask<LogPosition> WaitAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken) => _signal.WaitAsync(after, timeout, time, cancellationToken);

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
                    _signal.Advance(seen.Value);
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

        _signal.Advance(seen);
        return seen;
    }

    [LoggerMessage(EventIds.Registry + 1, LogLevel.Warning, "The log cannot be read: {Reason} Changes made by other processes are served late until it can.")]
    private partial void LogTrouble(string reason);
}
