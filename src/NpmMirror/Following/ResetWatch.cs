using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;

namespace NpmMirror.Following;

/// <summary>
/// Finds out that a feed is not the one any more that a cursor was taken from: its head lies before the cursor,
/// other changes stand where known rows stood, or it is another database.
/// A read that waits for changes would wait for ever there, so it is looked while one is open too.
/// </summary>
internal sealed partial class ResetWatch(IChangeFeed feed, TimeProvider time, ILogger logger)
{
    /// <summary>How long a reset may go unnoticed, and how often an idle feed is asked for its information.</summary>
    internal static readonly TimeSpan Every = TimeSpan.FromMinutes(1);

    // A node of a cluster that lags the others catches up within seconds, and if several answer by turns one of these looks meets
    // another. Waiting costs nothing: the comparison of everything finds the effects of a reset, whenever it begins.
    private const int LooksMax = 7;

    private static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(10);

    // One 400 may be a temporary fault of a proxy, and a walk over everything is expensive.
    private const int RefusalsBelieved = 3;

    /// <summary>Asks the feed before it is read from a place.</summary>
    internal async Task<FeedLook> LookAsync(FeedPlace place, Landmarks landmarks, CancellationToken cancellationToken)
    {
        try
        {
            var look = await LookAsync(place.Cursor, place.DatabaseId, landmarks, cancellationToken);
            return !look.IsReset && place.Refused is { Times: >= RefusalsBelieved, Reason: { } refusal } ? look with { ResetBecause = refusal.TrimEnd('.') } : look;
        }
        catch (MirrorException exception) when (exception.Fault == MirrorFault.UpstreamMalformed && place.Cursor is { } cursor)
        {
            // A feed without information is followed even so, from the known cursor.
            return new FeedLook(new FeedInfo(cursor, null, place.DatabaseId), null);
        }
    }

    /// <summary>Looks at an interval beside an open read, until the feed turns out to have been reset. A failure here does not affect that read.</summary>
    internal async Task<FeedLook> FindResetAsync(Func<Sequence?> cursor, string? databaseId, Landmarks landmarks, CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(Every, time, cancellationToken);
            try
            {
                if (await LookAsync(cursor(), databaseId, landmarks, cancellationToken) is { IsReset: true } found)
                {
                    return found;
                }
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                // Whatever the answer to this request, the open read may be well.
                LogNotLooked(feed.Location, exception.Message);
            }
        }
    }

    /// <summary>Asks the feed. A head that is before the cursor by opaque sequences is asked for again before it is believed.</summary>
    /// <param name="cursor">From before the asking; null when nothing was read yet.</param>
    /// <param name="databaseId">Which database the cursor was taken from; null when that is not known.</param>
    /// <param name="landmarks">Rows that were read before it.</param>
    /// <param name="cancellationToken">Ends it.</param>
    private async Task<FeedLook> LookAsync(Sequence? cursor, string? databaseId, Landmarks landmarks, CancellationToken cancellationToken)
    {
        for (var looks = 1; ; looks++)
        {
            var info = await feed.GetInfoAsync(cancellationToken);
            if (cursor is not { } before)
            {
                return new FeedLook(info, null);
            }

            if ((databaseId ?? info.DatabaseId) != info.DatabaseId)
            {
                return new FeedLook(info, $"it is another database, {info.DatabaseId}");
            }

            var isProof = info.IsBefore(before) && info.IsExact(before);
            var reason = await FindReasonAsync(info, before, landmarks, cancellationToken);
            if (reason is null || isProof || looks == LooksMax)
            {
                return new FeedLook(info, reason);
            }

            LogDoubted(feed.Location, reason);
            await Task.Delay(BetweenLooks, time, cancellationToken);
        }
    }

    private async Task<string?> FindReasonAsync(FeedInfo info, Sequence before, Landmarks landmarks, CancellationToken cancellationToken)
    {
        if (info.IsBefore(before))
        {
            return $"it ends at {MirrorException.Quote(info.Head.Text)}, before the cursor {MirrorException.Quote(before.Text)}";
        }

        // The beginning is the same in any database.
        return before != Sequence.Zero && info.IsExact(before) && await landmarks.AreTakenAsync(feed, info, cancellationToken) ? $"other changes have taken the places of those read up to {MirrorException.Quote(before.Text)}" : null;
    }

    [LoggerMessage(EventIds.Following + 6, LogLevel.Information, "The feed at {Feed} seems to have been reset; asked again before that is believed: {Reason}")]
    private partial void LogDoubted(string feed, string reason);

    [LoggerMessage(EventIds.Following + 7, LogLevel.Debug, "Could not look whether the feed at {Feed} was reset: {Reason}")]
    private partial void LogNotLooked(string feed, string reason);
}

/// <summary>The information of a feed, and whether it is still the feed that a cursor was taken from.</summary>
/// <param name="Info">The feed's information.</param>
/// <param name="ResetBecause">The sign of a reset; null if there is none.</param>
internal sealed record FeedLook(FeedInfo Info, string? ResetBecause)
{
    internal bool IsReset => ResetBecause is not null;
}
