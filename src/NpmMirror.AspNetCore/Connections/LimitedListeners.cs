using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace NpmMirror.AspNetCore.Connections;

/// <summary>The server's listening sockets, below the limit of <see cref="ClientConnections"/>: at the limit each holds one new client, and the kernel the others.</summary>
internal sealed class LimitedListeners(IOptions<SocketTransportOptions> options, ILoggerFactory loggers, ClientConnections connections) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private readonly SocketTransportFactory _sockets = new(options, loggers);

    /// <inheritdoc/>
    public bool CanBind(EndPoint endpoint) => _sockets.CanBind(endpoint);

    /// <inheritdoc/>
    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Listener(await _sockets.BindAsync(endpoint, cancellationToken), connections);

    private sealed class Listener(IConnectionListener listener, ClientConnections connections) : IConnectionListener
    {
        private readonly CancellationTokenSource _ending = new();

        public EndPoint EndPoint => listener.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            if (await listener.AcceptAsync(cancellationToken) is not { } connection)
            {
                return null;
            }

            using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ending.Token);
            try
            {
                await connections.AdmitAsync(connection, ending.Token);
                return connection;
            }
            catch (OperationCanceledException)
            {
                // No more are served.
                await connection.DisposeAsync();
                return null;
            }
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            await _ending.CancelAsync();
            await listener.UnbindAsync(cancellationToken);
        }

        public async ValueTask DisposeAsync()
        {
            await _ending.CancelAsync();
            await listener.DisposeAsync();
        }
    }
}
