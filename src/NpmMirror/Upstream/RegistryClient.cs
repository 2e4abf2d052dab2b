namespace NpmMirror.Upstream;

/// <summary>The one HTTP client towards the upstream: packuments, tarballs and forwarded requests.</summary>
public sealed class RegistryClient : IDisposable
{
    /// <summary>The upstream's address, without a trailing slash.</summary>
    public Uri BaseUrl => throw new NotImplementedException();

    /// <summary>What names this upstream in stored rows: its URL and, where a feed told it, its database identity.</summary>
    public string Identity { get; set; } = "";

    /// <summary>True while the upstream is known to be away: the last request failed to connect, timed out or got a 5xx, less than a few seconds ago.</summary>
    public bool IsAway => throw new NotImplementedException();

    /// <summary>Asks for the full packument.</summary>
    /// <param name="name">The package.</param>
    /// <param name="validators">Of the stored document, for a conditional request.</param>
    /// <param name="isCacheBusted">Adds a query that passes caches, when a cache between answered an older rev than wanted.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <exception cref="MirrorException">Upstream trouble; answers whether to retry and when. One request: retries are the caller's.</exception>
    public Task<PackumentAnswer> GetPackumentAsync(PackageName name, Validators validators, bool isCacheBusted, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Opens a tarball from an allowed source: the upstream's host or one of <c>tarballHosts</c>, also after redirects; credentials go to the upstream's host only.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.ForbiddenSource"/>, or upstream trouble.</exception>
    public Task<TarballAnswer> OpenTarballAsync(Uri url, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Forwards a request to a path of the upstream (search, audit, keys, attestations) and gives the answer as it comes.</summary>
    public Task<HttpResponseMessage> ForwardAsync(HttpMethod method, string pathAndQuery, HttpContent? content, TimeSpan timeout, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
