using Microsoft.Extensions.Hosting;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>Waits for the log to grow on behalf of a reader, and lets it know now and then that it was not forgotten.</summary>
internal sealed class LogWait
{
    private readonly RegistryLog _log;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly TimeProvider _time;

    internal LogWait(RegistryLog log, IHostApplicationLifetime lifetime, TimeProvider time)
    {
        (_log, _lifetime, _time) = (log, lifetime, time);
        // A server that shuts down ends its feeds whole, so that followers go on where they were.
        lifetime.ApplicationStopping.Register(log.EndWaiting);
    }

    /// <summary>Sends the gathered bytes and waits; false when the time is over, the client has left or the server ends.</summary>
    /// <param name="body">The answer's body.</param>
    /// <param name="position">The reader's position.</param>
    /// <param name="patience">How long to wait at most.</param>
    /// <param name="heartbeat">How often to send a sign of life.</param>
    /// <param name="sign">The sign.</param>
    /// <param name="cancellationToken">Signalled when the client has left.</param>
    internal async Task<bool> ForMoreAsync(FeedBody body, LogPosition position, TimeSpan patience, TimeSpan heartbeat, ReadOnlyMemory<byte> sign, CancellationToken cancellationToken)
    {
        var begun = _time.GetTimestamp();
        while (true)
        {
            var left = patience - _time.GetElapsedTime(begun);
            if (left <= TimeSpan.Zero || !await body.FlushAsync(isUrgent: true))
            {
                return false;
            }

            // Round up: a timer of less than 1 ms becomes 0 and would spin.
            var isBeat = heartbeat < left;
            body.Client?.SetWaiting(true);
            try
            {
                if (await _log.WaitAsync(position, isBeat ? heartbeat : TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)), cancellationToken) > position)
                {
                    return true;
                }
            }
            finally
            {
                body.Client?.SetWaiting(false);
            }

            if (_lifetime.ApplicationStopping.IsCancellationRequested)
            {
                return false;
            }

            if (isBeat)
            {
                body.Text(sign.Span);
            }
        }
    }
}
