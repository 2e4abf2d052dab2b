using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Upstream;

namespace NpmMirror.Monitoring;

/// <summary>
/// Finds out that a feed is not the one any more that a cursor was taken from: its head lies before the cursor, or it is another database.
/// A read that waits for changes would wait for ever there, so it is looked while one is open too.
/// </summary>
internal sealed partial class ResetWatch(IChangeFeed feed, TimeProvider time, ILogger logger)
{
    /// <summary>How long a reset may go unnoticed, and how often an idle feed is asked what it is.</summary>
    internal static readonly TimeSpan Every = TimeSpan.FromMinutes(1);

    // A node of a cluster that lags the others catches up within seconds, and where several answer by turns one of these looks meets
    // another. Waiting costs nothing: what a reset takes away is found by comparing everything, whenever that begins.
    private const int LooksMax = 7;

    private static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(10);

    /// <summary>Asks the feed. A head that is behind by opaque sequences is asked for again before it is believed.</summary>
    /// <param name="cursor">From before the asking; null when nothing was read yet.</param>
    /// <param name="databaseId">Which database the cursor was taken from; null when that is not known.</param>
    /// <param name="cancellationToken">Ends it.</param>
    internal async Task<FeedLook> LookAsync(Sequence? cursor, string? databaseId, CancellationToken cancellationToken)
    {
        for (var looks = 1; ; looks++)
        {
            var info = await feed.GetInfoAsync(cancellationToken);
            if (cursor is not { } before)
            {
                return new FeedLook(info, IsReset: false);
            }

            if ((databaseId ?? info.DatabaseId) != info.DatabaseId)
            {
                return new FeedLook(info, IsReset: true);
            }

            if (!info.IsBehind(before) || info.IsExact(before) || looks == LooksMax)
            {
                return new FeedLook(info, info.IsBehind(before));
            }

            LogDoubted(feed.Location, info.Head, before);
            await Task.Delay(BetweenLooks, time, cancellationToken);
        }
    }

    /// <summary>Looks at an interval beside an open read, until the feed turns out to have been reset. Trouble here is none of that read's.</summary>
    internal async Task<FeedLook> FindResetAsync(Func<Sequence?> cursor, string? databaseId, CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(Every, time, cancellationToken);
            try
            {
                if (await LookAsync(cursor(), databaseId, cancellationToken) is { IsReset: true } found)
                {
                    return found;
                }
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                // Whatever a feed does when it is asked what it is: the open read may be well.
                LogNotLooked(feed.Location, exception.Message);
            }
        }
    }

    [LoggerMessage(EventIds.Monitoring + 6, LogLevel.Information, "The feed at {Feed} stands at {Head}, before {Cursor}; asked again before that is believed")]
    private partial void LogDoubted(string feed, Sequence head, Sequence cursor);

    [LoggerMessage(EventIds.Monitoring + 7, LogLevel.Debug, "Could not look whether the feed at {Feed} was reset: {Reason}")]
    private partial void LogNotLooked(string feed, string reason);
}

/// <summary>What a feed said of itself, and whether it is not the one any more that a cursor was taken from.</summary>
internal sealed record FeedLook(FeedInfo Info, bool IsReset);
