using System.Net.Security;
using Amazon.Runtime;

namespace NpmMirror.S3;

/// <summary>How the bucket's server is connected to: with limits, and trusting the authorities of a file where one is given.</summary>
internal sealed class S3HttpClients(string? caFile) : HttpClientFactory, IDisposable
{
    private const int ConnectionsMax = 64;
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);

    private readonly HttpClient _client = Create(caFile);

    /// <inheritdoc/>
    public override HttpClient CreateHttpClient(IClientConfig clientConfig) => _client;

    /// <inheritdoc/>
    public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

    /// <inheritdoc/>
    public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private static HttpClient Create(string? caFile)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectTimeout = ConnectTimeout,
            MaxConnectionsPerServer = ConnectionsMax,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            AllowAutoRedirect = false,
        };
        if (caFile is not null)
        {
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = CertificateAuthorities.Load(caFile, "store.blobOptions.caFile").NewPolicy() };
        }

        // Each request has a time-out of its own.
        return new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }
}
