using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace NpmMirror.Upstream;

/// <summary>
/// Connections in two pools: to the addresses that the operator chose, and to those that a document or redirect named. The second checks
/// every resolved address at the moment it connects, so a name that resolves differently a second later gains nothing. For each there is a second way
/// that keeps no connections, for requests that must not meet another dead one.
/// </summary>
internal sealed class UpstreamConnections : IDisposable
{
    private static readonly HttpRequestOptionsKey<bool> Connected = new("npm-mirror-connected");

    private readonly RegistryClientOptions _options;
    private readonly SourceFence _fence;
    private readonly TimeProvider _timeProvider;
    private readonly HttpMessageInvoker _chosen;
    private readonly HttpMessageInvoker _named;
    private readonly HttpMessageInvoker _chosenAnew;
    private readonly HttpMessageInvoker _namedAnew;

    internal UpstreamConnections(RegistryClientOptions options, SourceFence fence, TimeProvider timeProvider)
    {
        _options = options;
        _fence = fence;
        _timeProvider = timeProvider;
        // Long enough to be worth it, short enough that a moved DNS name is noticed.
        var lifetime = TimeSpan.FromMinutes(5);
        _chosen = new HttpMessageInvoker(CreateHandler(isFenced: false, lifetime));
        _named = new HttpMessageInvoker(CreateHandler(isFenced: true, lifetime));
        _chosenAnew = new HttpMessageInvoker(CreateHandler(isFenced: false, TimeSpan.Zero));
        _namedAnew = new HttpMessageInvoker(CreateHandler(isFenced: true, TimeSpan.Zero));
    }

    /// <summary>Sends over a connection that is kept, or a new one.</summary>
    internal Task<HttpResponseMessage> SendAsync(HttpRequestMessage message, bool isChosen, CancellationToken cancellationToken) =>
        (isChosen ? _chosen : _named).SendAsync(message, cancellationToken);

    /// <summary>Sends over a new connection, which is closed afterwards.</summary>
    internal Task<HttpResponseMessage> SendAnewAsync(HttpRequestMessage message, bool isChosen, CancellationToken cancellationToken) =>
        (isChosen ? _chosenAnew : _namedAnew).SendAsync(message, cancellationToken);

    /// <summary>Whether a request met a kept connection that is dead: it opened none itself, and the one that it took broke before an answer began.</summary>
    internal static bool IsDead(HttpRequestMessage message, HttpRequestException exception) =>
        exception is { InnerException: IOException, HttpRequestError: HttpRequestError.Unknown or HttpRequestError.ResponseEnded }
        && !message.Options.TryGetValue(Connected, out _);

    /// <inheritdoc/>
    public void Dispose()
    {
        _chosen.Dispose();
        _named.Dispose();
        _chosenAnew.Dispose();
        _namedAnew.Dispose();
    }

    private SocketsHttpHandler CreateHandler(bool isFenced, TimeSpan lifetime) => new()
    {
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        ActivityHeadersPropagator = null,
        Proxy = _options.Proxy,
        UseProxy = _options.Proxy is not null,
        // One HTTP/2 connection has some hundred streams at once: requests that hang would delay all others.
        EnableMultipleHttp2Connections = true,
        PooledConnectionLifetime = lifetime,
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
        KeepAlivePingDelay = TimeSpan.FromSeconds(30),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(15),
        ConnectTimeout = Timeout.InfiniteTimeSpan,
        ConnectCallback = (context, cancellationToken) => ConnectAsync(context, isFenced, cancellationToken),
        SslOptions = new SslClientAuthenticationOptions
        {
            RemoteCertificateValidationCallback = IsTrusted,
            // Null if there is none at all: a callback that finds none would make the handshake wait for the server's request.
            LocalCertificateSelectionCallback = _options.ClientCertificates.Count == 0 ? null : (_, host, _, _, _) => CertificateFor(host),
        },
    };

    /// <summary>Only the host that npm's configuration names sees the certificate, also after a redirect.</summary>
    private X509Certificate2 CertificateFor(string host) => _options.ClientCertificates.GetValueOrDefault(host)!;

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, bool isFenced, CancellationToken cancellationToken)
    {
        // .NET sends a request up to three times more if its connection ends before an answer begins. Only the sender decides about repetition;
        // after a proxy's 407 it is another request, with a password.
        var isAuthorized = context.InitialRequestMessage.Headers.ProxyAuthorization is not null;
        if (context.InitialRequestMessage.Options.TryGetValue(Connected, out var wasAuthorized) && wasAuthorized == isAuthorized)
        {
            throw new IOException("The connection was closed before an answer began.");
        }

        context.InitialRequestMessage.Options.Set(Connected, isAuthorized);
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        using var deadline = new CancellationTokenSource(_options.ConnectTimeout, _timeProvider);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            // The proxy is the operator's choice for every address.
            var isProxy = context.InitialRequestMessage.RequestUri is { } url && _options.Proxy is { } proxy && !proxy.IsBypassed(url);
            var addresses = isFenced && !isProxy
                ? await _fence.ResolveAsync(host, linked.Token)
                : await _options.Resolve(host, linked.Token);
            return await ConnectAsync(addresses, port, linked.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"No connection to {host}:{port} within {_options.ConnectTimeout.TotalSeconds:0} s.");
        }
    }

    internal static Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken) =>
        IPAddress.TryParse(host, out var literal) ? Task.FromResult<IPAddress[]>([literal]) : Dns.GetHostAddressesAsync(host, cancellationToken);

    private async Task<Stream> ConnectAsync(IPAddress[] addresses, int port, CancellationToken cancellationToken)
    {
        for (var i = 0; ; i++)
        {
            var isLast = i >= addresses.Length - 1;
            // An address family that leads nowhere must not use up the time of the next.
            using var attempt = isLast ? null : new CancellationTokenSource(_options.ConnectTimeout / 4, _timeProvider);
            using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, attempt?.Token ?? CancellationToken.None);
            var socket = new Socket(addresses[i].AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(addresses[i], port, linked.Token);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch (Exception exception)
            {
                socket.Dispose();
                if (isLast || cancellationToken.IsCancellationRequested || exception is not (SocketException or OperationCanceledException))
                {
                    throw;
                }
            }
        }
    }

    private bool IsTrusted(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (!_options.IsTlsStrict)
        {
            return true;
        }

        if (certificate is not X509Certificate2 own || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != SslPolicyErrors.None)
        {
            return false;
        }

        // npm's ca and cafile replace the system's authorities; extra ones are added to either.
        var isTrustedBySystem = _options.Authorities is null && errors == SslPolicyErrors.None;
        return isTrustedBySystem || IsIssuedBy(own, chain, _options.Authorities) || IsIssuedBy(own, chain, _options.ExtraAuthorities);
    }

    private static bool IsIssuedBy(X509Certificate2 certificate, X509Chain? sent, X509Certificate2Collection? authorities) =>
        authorities is { Count: > 0 } && new CertificateAuthorities(authorities).HaveIssued(certificate, sent);
}
