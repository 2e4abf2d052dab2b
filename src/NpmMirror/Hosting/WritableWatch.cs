using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Storage;

namespace NpmMirror.Hosting;

/// <summary>Says in one line that nothing can be written any more, and in one that it can again; requests and the queue try on meanwhile.</summary>
internal sealed partial class WritableWatch(IMetadataStore store, IBlobStore blobs, TimeProvider time, ILogger<WritableWatch> logger) : BackgroundService
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await WatchAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Cancelled, perhaps during start-up: end quietly.
        }
    }

    private async Task WatchAsync(CancellationToken stoppingToken)
    {
        string? known = null;
        using var timer = new PeriodicTimer(LookEvery, time);
        do
        {
            var reason = await LookAsync(stoppingToken);
            if (reason is not null && known is null)
            {
                LogNotWritable(reason);
            }
            else if (reason is null && known is not null)
            {
                LogWritable();
            }

            known = reason;
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task<string?> LookAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await store.CheckWritableAsync(cancellationToken) ?? await blobs.CheckWritableAsync(cancellationToken);
        }
        catch (MirrorException failure)
        {
            return failure.Message;
        }
    }

    [LoggerMessage(EventIds.Mirror + 60, LogLevel.Error, "Nothing can be written: {Reason}")]
    private partial void LogNotWritable(string reason);

    [LoggerMessage(EventIds.Mirror + 61, LogLevel.Information, "Everything can be written again")]
    private partial void LogWritable();
}
