using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;

namespace NpmMirror.AspNetCore.Connections;

/// <summary>
/// Waits for one client's connection to take the written bytes, and cuts off a client that takes nothing. Bytes count as taken when the client's system acknowledged them: a
/// write ends much later, when a third of a buffer of megabytes is free. If the system does not tell, a write that does not end counts as a stall.
/// </summary>
internal sealed partial class StallLimit(Socket? socket, EndPoint? client, ILogger<StallLimit> logger, TimeProvider time)
{
    /// <summary>How long a client may take nothing at all.</summary>
    internal static readonly TimeSpan StallMax = TimeSpan.FromSeconds(30);

    /// <summary>How often a write that has not ended is looked at.</summary>
    internal static readonly TimeSpan LookEvery = StallMax / 6;

    private bool _isCut;

    /// <summary>The limit of the connection that a request came on.</summary>
    internal static StallLimit Of(HttpContext context, TimeProvider time)
    {
        if (context.Features.Get<StallLimit>() is { } known)
        {
            return known;
        }

        var connection = context.Connection;
        return new StallLimit(
            context.Features.Get<IConnectionSocketFeature>()?.Socket,
            connection.RemoteIpAddress is { } address ? new IPEndPoint(address, connection.RemotePort) : null,
            context.RequestServices.GetRequiredService<ILogger<StallLimit>>(),
            time);
    }

    /// <summary>Waits until a write has ended or failed. False if it has not: the client is cut off, and the write will fail.</summary>
    internal async Task<bool> WaitAsync(Task write, Action abort, CancellationToken cancellationToken)
    {
        var (taken, takenAt) = (TcpProgress.Of(socket)?.TakenBytes, time.GetTimestamp());
        while (true)
        {
            await write.WaitAsync(LookEvery, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (write.IsCompleted)
            {
                return true;
            }

            cancellationToken.ThrowIfCancellationRequested();
            if (TcpProgress.Of(socket)?.TakenBytes is var now && now != taken)
            {
                (taken, takenAt) = (now, time.GetTimestamp());
            }
            else if (time.GetElapsedTime(takenAt) >= StallMax)
            {
                if (!Interlocked.Exchange(ref _isCut, true))
                {
                    LogCut(client, StallMax.TotalSeconds);
                }

                abort();
                return false;
            }
        }
    }

    [LoggerMessage(EventIds.AspNetCore + 11, LogLevel.Information, "The client {Client} took nothing of its answer for {Seconds} s; its connection is closed")]
    private partial void LogCut(EndPoint? client, double seconds);
}
