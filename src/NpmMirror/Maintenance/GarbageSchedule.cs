using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Options;

namespace NpmMirror.Maintenance;

/// <summary>Collects every <c>gc.every</c> while a mirror runs, if that is set.</summary>
internal sealed partial class GarbageSchedule(GarbageCollector collector, MirrorOptions options, TimeProvider time, ILogger<GarbageSchedule> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Offline nothing is deleted: it may have to be fetched again.
        while (options.Gc.Every > TimeSpan.Zero && !options.Offline)
        {
            await Task.Delay(options.Gc.Every, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stoppingToken.IsCancellationRequested)
            {
                return;
            }

            try
            {
                var collected = await collector.RunAsync(isDryRun: false, _ => { }, stoppingToken);
                LogCollected(collected.FreedBytes, collected.HeldBytes, collected.OverBudgetBytes);
            }
            catch (MirrorException trouble)
            {
                LogNotCollected(options.Gc.Every, trouble.Message);
            }
            catch (OperationCanceledException)
            {
                // The end of the host, or of the lease: this process was asleep, and another collects.
            }
        }
    }

    [LoggerMessage(EventIds.Maintenance + 1, LogLevel.Information, "Collected {Freed} bytes; {Held} bytes of tarballs are held, {Over} over the budget")]
    private partial void LogCollected(long freed, long held, long over);

    [LoggerMessage(EventIds.Maintenance + 2, LogLevel.Warning, "Nothing was collected, next try in {Pause}: {Reason}")]
    private partial void LogNotCollected(TimeSpan pause, string reason);
}
