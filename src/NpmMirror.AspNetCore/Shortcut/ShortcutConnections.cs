using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using NpmMirror.AspNetCore.Connections;

namespace NpmMirror.AspNetCore.Shortcut;

/// <summary>Stands between a listening socket and the server, and answers requests that came before there: without a request object, and without copying a body.</summary>
internal sealed class ShortcutConnections(ShortcutAnswers answers, IOptions<KestrelServerOptions> server, IHostApplicationLifetime lifetime, ILogger<StallLimit> logger, TimeProvider time)
{
    private readonly DateLine _date = new(time);

    /// <summary>Serves one connection, to its end.</summary>
    internal async Task RunAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        try
        {
            await ServeAsync(connection, next);
        }
        finally
        {
            connection.Features.Get<ClientConnection>()?.Leave();
        }
    }

    private async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        // Under TLS, or without a socket, the bytes on the wire are not ours to send.
        if (connection.Features.Get<ITlsHandshakeFeature>() is not null || connection.Features.Get<IConnectionSocketFeature>()?.Socket is not { } socket)
        {
            await next(connection);
            return;
        }

        var stall = new StallLimit(socket, connection.RemoteEndPoint, logger, time);
        connection.Features.Set(stall);
        if (answers.Feeds is { } feeds)
        {
            await feeds.ServeAsync(connection, socket, stall, _date, lifetime.ApplicationStopping);
        }

        // The server ends connections on which it sees no request for so long: it must see one well before that.
        var handOverAfter = server.Value.Limits.KeepAliveTimeout / 4;
        var transport = connection.Transport;
        var output = new ShortcutOutput(connection, socket, connection.Features.Get<IMemoryPoolFeature>()?.MemoryPool, stall, _date);
        connection.Transport = new Duplex(new ShortcutInput(transport.Input, output, answers, new AnsweringThread(socket), connection.RemoteEndPoint, handOverAfter, time, lifetime.ApplicationStopping), output);
        var sending = output.SendWrittenAsync();
        try
        {
            await next(connection);
        }
        finally
        {
            await output.CompleteAsync();
            // Ends with the last byte, or when the client takes nothing.
            await sending;
            connection.Transport = transport;
        }
    }

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
