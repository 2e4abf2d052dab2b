using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
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
            var authorities = new X509Certificate2Collection();
            try
            {
                authorities.ImportFromPemFile(caFile);
            }
            catch (Exception trouble) when (trouble is IOException or UnauthorizedAccessException or System.Security.Cryptography.CryptographicException)
            {
                throw new MirrorException(MirrorFault.Configuration, $"store.blobOptions.caFile cannot be read: {trouble.Message}", inner: trouble);
            }

            handler.SslOptions = new SslClientAuthenticationOptions
            {
                CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck },
            };
            handler.SslOptions.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        }

        // Each request has a time-out of its own.
        return new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }
}
