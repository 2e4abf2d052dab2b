using System.Globalization;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Reconciling;

/// <summary>
/// When the next reconciliation is due. That is kept in the store and moves when one has ended: a mirror that is started every day reconciles
/// also then, and one that died meanwhile begins again.
/// </summary>
internal sealed partial class ReconciliationSchedule(INoteTable notes, TimeSpan interval, TimeProvider time, ILogger logger)
{
    /// <summary>Another process may have reconciled meanwhile.</summary>
    private static readonly TimeSpan LookAgainAfter = TimeSpan.FromMinutes(10);

    /// <summary>Reconciles when it is due, until cancelled; each reconciliation calls <see cref="NoteNextAsync"/>. A failure is logged and tried again.</summary>
    internal async Task RunAsync(Func<CancellationToken, Task> reconcile, CancellationToken cancellationToken)
    {
        if (interval == TimeSpan.Zero)
        {
            return;
        }

        var trouble = new Backoff(TimeSpan.FromMinutes(1), TimeSpan.FromHours(6), Random.Shared);
        while (!cancellationToken.IsCancellationRequested)
        {
            var pause = LookAgainAfter;
            try
            {
                var left = await DueAsync(cancellationToken) - time.GetUtcNow();
                if (left <= TimeSpan.Zero)
                {
                    await reconcile(cancellationToken);
                    trouble.Reset();
                }
                else
                {
                    pause = left < LookAgainAfter ? left : LookAgainAfter;
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (MirrorException e)
            {
                pause = trouble.Next(e.RetryAfter);
                LogNotReconciled(pause, e.Message);
            }

            await Task.Delay(pause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Counts from now on: everything was compared just now, by whomever.</summary>
    internal async Task<DateTimeOffset> NoteNextAsync(CancellationToken cancellationToken)
    {
        var due = time.GetUtcNow() + interval;
        await notes.SetNoteAsync(MirrorCursors.ReconciliationDue, due.ToString("O", CultureInfo.InvariantCulture), cancellationToken);
        return due;
    }

    private async Task<DateTimeOffset> DueAsync(CancellationToken cancellationToken)
    {
        if (await notes.FindNoteAsync(MirrorCursors.ReconciliationDue, cancellationToken) is { } text
            && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var due)
            && due - time.GetUtcNow() <= interval)
        {
            return due;
        }

        // None was kept, the interval was shortened since, or the clock was ahead: an interval from now, which is kept, or each look would move it.
        return await NoteNextAsync(cancellationToken);
    }

    [LoggerMessage(EventIds.Mirror + 233, LogLevel.Warning, "The comparison with the upstream's list failed, next try in {Pause}: {Reason}")]
    private partial void LogNotReconciled(TimeSpan pause, string reason);
}
