using System.Runtime.CompilerServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Log;

namespace NpmMirror.Storage;

/// <summary>
/// Follows the log so that this process also forgets packages that other processes changed. Its own commits were dropped before they
/// returned; dropping them again costs little. It is the one reader of the log in a process: all tasks that wait for the log to grow
/// wait here, so that ten thousand waiting clients cost the store no more than one.
/// </summary>
public sealed partial class RegistryLog : BackgroundService
{
    private static readonly TimeSpan WaitAtMost = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AfterTrouble = TimeSpan.FromSeconds(1);

    private readonly ILogTable _log;
    private readonly PackageNews _news;
    private readonly TimeProvider _time;
    private readonly ILogger<RegistryLog> _logger;
    private readonly LogSignal _signal = new();
    private readonly LogTail _tail = new();

    /// <summary>The last row that was told; null until the store said where its log ends.</summary>
    private LogPosition? _seen;

    internal RegistryLog(ILogTable log, PackageNews news, TimeProvider time, ILogger<RegistryLog> logger) =>
        (_log, _news, _time, _logger) = (log, news, time, logger);

    /// <summary>The head, as far as it is known.</summary>
    internal LogPosition Head => _signal.Head;

    /// <summary>Waits until the log's head is after <paramref name="after"/>, at most <paramref name="timeout"/>; returns the head as far as it is known.</summary>
    public ValueTask<LogPosition> WaitAsync(LogPosition after, TimeSpan timeout, CancellationToken cancellationToken) => _signal.WaitAsync(after, timeout, _time, cancellationToken);

    /// <summary>The rows after a position, to the head of this moment.</summary>
    public async IAsyncEnumerable<LogRow> ReadAsync(LogPosition after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (_tail.After(after) is { } tail)
        {
            foreach (var row in tail)
            {
                yield return row;
            }

            yield break;
        }

        await foreach (var row in _log.ReadLogAsync(after, cancellationToken))
        {
            yield return row;
        }
    }

    /// <summary>
    /// All events after a position, the past ones first and then each as it happens, until it is cancelled or the mirror ends. To go on later, pass the
    /// <see cref="RegistryEvent.Position"/> of the last event that was handled: none is left out, and none comes twice.
    /// </summary>
    /// <param name="after">Where to begin: <see cref="LogPosition.Zero"/> for all there is.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <remarks>An event that is damaged in the store is told as <see cref="EventDamaged"/>, and the others go on.</remarks>
    /// <exception cref="MirrorException">The store cannot be read, or a newer program has written to it.</exception>
    /// <example>
    /// <code>
    /// await foreach (var told in log.FollowAsync(position, cancellationToken))
    /// {
    ///     if (told is InstallScriptAppeared appeared)
    ///     {
    ///         Alarm(appeared.Package, appeared.Versions);
    ///     }
    ///
    ///     position = told.Position;
    /// }
    /// </code>
    /// </example>
    public async IAsyncEnumerable<RegistryEvent> FollowAsync(LogPosition after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            await foreach (var row in ReadAsync(after, cancellationToken))
            {
                after = row.Position;
                // A purged event has no content to tell.
                if (EventOf(row) is { } told)
                {
                    yield return told;
                }
            }

            if (await WaitAsync(after, WaitAtMost, cancellationToken) <= after && _signal.IsEnded)
            {
                yield break;
            }
        }
    }

    /// <summary>The event of a row, or of its damage, so that the rows after it are told.</summary>
    private static RegistryEvent? EventOf(LogRow row)
    {
        try
        {
            return row.Damage is { } damage ? Damaged(damage) : EventPayload.FromRow(row);
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreUnavailable)
        {
            return Damaged(damage.Message);
        }

        EventDamaged Damaged(string problem) => new(row.Type, problem)
        {
            Position = row.Position,
            Package = row.Package,
            Generation = row.Generation,
            At = row.At,
            SeenAt = row.SeenAt,
            UpstreamRev = row.UpstreamRev,
        };
    }

    /// <summary>Releases all waiters, from now on: for a server that ends.</summary>
    public void EndWaiting() => _signal.End();

    /// <summary>Finds the end of the log before anything is served, so that no row passes unread and nothing has to be forgotten for it.</summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await BeginAsync(cancellationToken);
        }
        catch (MirrorException e)
        {
            LogTrouble(e.Message);
        }

        await base.StartAsync(cancellationToken);
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (_seen is null)
                {
                    await BeginAsync(stoppingToken);
                }

                await TakeInAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is MirrorException or ObjectDisposedException)
            {
                LogTrouble(e.Message);
                await Task.Delay(AfterTrouble, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task BeginAsync(CancellationToken cancellationToken)
    {
        var head = (await _log.ReadHeadAsync(cancellationToken)).Position;
        _seen = head;
        // The rows that passed without a reader are not known.
        _news.TellAllChanged();
        _signal.Advance(head);
    }

    private async Task TakeInAsync(CancellationToken cancellationToken)
    {
        var seen = _seen.GetValueOrDefault();
        if (await _log.WaitForLogAsync(seen, WaitAtMost, cancellationToken) <= seen)
        {
            return;
        }

        await foreach (var row in _log.ReadLogAsync(seen, cancellationToken))
        {
            // The generation of a damaged row may be wrong.
            _news.TellChanged(row.Package, row.Damage is null ? row.Generation : long.MaxValue);
            _tail.Add(row);
            seen = row.Position;
        }

        _seen = seen;
        _signal.Advance(seen);
    }

    [LoggerMessage(EventIds.Log + 1, LogLevel.Warning, "The log cannot be read: {Reason} Changes made by other processes are served late until it can.")]
    private partial void LogTrouble(string reason);
}
