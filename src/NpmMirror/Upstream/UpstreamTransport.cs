using System.Net;
using System.Net.Http.Headers;
using System.Reflection;
using System.Security.Authentication;

namespace NpmMirror.Upstream;

/// <summary>Sends requests: headers within their time, redirects followed by hand, credentials only where they belong.</summary>
internal sealed class UpstreamTransport : IDisposable
{
    private const int RedirectsMax = 5;

    private static readonly TimeSpan AwayFor = TimeSpan.FromSeconds(5);

    private static readonly string UserAgent = $"npm-mirror/{typeof(UpstreamTransport).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0"}";

    private readonly RegistryClientOptions _options;
    private readonly RegistryCredentials _credentials;
    private readonly TimeProvider _timeProvider;
    private readonly SourceFence _fence;
    private readonly UpstreamConnections _connections;
    private readonly UpstreamMetrics _metrics;
    private long _awaySince = long.MinValue;

    internal UpstreamTransport(RegistryClientOptions options, TimeProvider timeProvider)
    {
        _options = options;
        _timeProvider = timeProvider;
        BaseUrl = WithoutUser(options.BaseUrl);
        _credentials = WithUserOf(options);
        _fence = new SourceFence(BaseUrl, options.TarballHosts, options.Resolve);
        _connections = new UpstreamConnections(options, _fence, timeProvider);
        _metrics = new UpstreamMetrics(options.Meter);
        Pace = new RequestPace(options.RequestsPerSecond, timeProvider, options.Meter);
    }

    /// <summary>The upstream's address, without user, query and trailing slash.</summary>
    internal Uri BaseUrl { get; }

    /// <summary>How fast hosts are asked.</summary>
    internal RequestPace Pace { get; }

    internal bool IsAnonymous => !_credentials.HasAnyFor(BaseUrl.Authority) && !_options.TarballHosts.Any(_credentials.HasAnyFor) && _options.ClientCertificates.Count == 0;

    internal RegistryClientOptions Options => _options;

    internal TimeProvider TimeProvider => _timeProvider;

    internal bool IsAway => Interlocked.Read(ref _awaySince) is var since && since != long.MinValue && _timeProvider.GetElapsedTime(since) < AwayFor;

    /// <summary>An address below the upstream's.</summary>
    internal Uri At(string pathAndQuery) => new(BaseUrl.AbsoluteUri.TrimEnd('/') + pathAndQuery);

    /// <summary>Notes that a forwarded request got no whole answer in time: those that come next are told so at once. One slow package is no reason to fetch nothing.</summary>
    internal void NoteTimedOut(Uri url, RequestPurpose purpose, TimeSpan timeout)
    {
        if (purpose != RequestPurpose.Fetching)
        {
            Pace.Pauses.Begin(url, purpose, null, $"it did not answer within {timeout.TotalSeconds:0.#} s");
        }
    }

    /// <summary>Sends the request; any status that is no redirect is an answer.</summary>
    /// <exception cref="MirrorException">No answer, a forbidden place, or too many redirects.</exception>
    internal async Task<UpstreamResponse> SendAsync(UpstreamRequest request, CancellationToken cancellationToken)
    {
        if (_options.IsOffline)
        {
            throw UpstreamFailures.Offline();
        }

        // Where the request begins is the operator's choice, or was fenced in as a tarball's address.
        var origin = request.IsTarball ? BaseUrl : request.Url;
        var url = request.Url;
        var isFirstOrigin = true;
        for (var hops = 0; ; hops++)
        {
            url = request.IsTarball ? _fence.CheckTarball(url) : url;
            var isChosen = !request.IsDerived && (SourceFence.SameOrigin(url, origin) || SourceFence.SameOrigin(url, BaseUrl));
            if (!isChosen)
            {
                CheckNamed(url);
            }

            isFirstOrigin &= SourceFence.SameOrigin(url, request.IsTarball ? BaseUrl : request.Url);
            // An allowed tarball host has credentials of its own in npm's configuration; the target of a redirect gets none.
            var authorization = isFirstOrigin ? CredentialsFor(url) : hops == 0 ? _credentials.HeaderFor(url) : null;
            var response = await SendOnceAsync(request, url, isChosen, authorization, cancellationToken);
            if (Redirection(response, request.Method) is not { } location)
            {
                return new UpstreamResponse(response, url);
            }

            response.Dispose();
            url = hops < RedirectsMax
                ? HeaderValues.Address(location, url) ?? throw UpstreamFailures.Malformed(url, $"redirects to {MirrorException.Quote(location)}, which is no address")
                : throw UpstreamFailures.Malformed(request.Url, $"redirects more than {RedirectsMax} times");
            if (request.IsDerived && !SourceFence.SameOrigin(url, request.Url))
            {
                throw UpstreamFailures.Malformed(request.Url, "redirects to another place", isTransient: false);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _connections.Dispose();

    private void CheckNamed(Uri url)
    {
        if (url.Scheme != Uri.UriSchemeHttp && url.Scheme != Uri.UriSchemeHttps)
        {
            throw new MirrorException(MirrorFault.ForbiddenSource, $"The upstream redirects to {MirrorException.Quote(url.Scheme)}, which is no http address: not followed.");
        }

        if (_options.Proxy is { } proxy && !proxy.IsBypassed(url))
        {
            _fence.CheckLiteral(url);
        }
    }

    /// <summary>The credentials of the longest configured prefix; else, on the upstream's own origin, those of the upstream itself.</summary>
    private string? CredentialsFor(Uri url) =>
        _credentials.HeaderFor(url) ?? (SourceFence.SameOrigin(url, BaseUrl) ? _credentials.HeaderFor(BaseUrl) : null);

    private async Task<HttpResponseMessage> SendOnceAsync(UpstreamRequest request, Uri url, bool isChosen, string? authorization, CancellationToken cancellationToken)
    {
        if (!request.IsPatient)
        {
            await Pace.EnterAsync(url, isPatient: false, cancellationToken);
        }

        var timeout = request.HeadersTimeout ?? _options.Timeout;
        using var deadline = new CancellationTokenSource(timeout, _timeProvider);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var sentAt = _timeProvider.GetTimestamp();
        try
        {
            var response = await SendPastDeadAsync(() => CreateMessage(request, url, authorization), isChosen, request.IsRepeatable, linked.Token);
            NoteHealth(url, isAway: false);
            NotePace(url, request.Purpose, response);
            _metrics.Note(request, (int)response.StatusCode, _timeProvider.GetElapsedTime(sentAt));
            return response;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            NoteTimedOut(url, request.Purpose, timeout);
            _metrics.Note(request, "timeout", _timeProvider.GetElapsedTime(sentAt));
            throw UpstreamFailures.TimedOut(url, $"did not answer within {timeout.TotalSeconds:0.#} s");
        }
        catch (HttpRequestException exception)
        {
            _metrics.Note(request, "failed", _timeProvider.GetElapsedTime(sentAt));
            throw Translate(url, exception);
        }
    }

    /// <summary>A kept connection may be dead without notice, as after a restart of a proxy in between: then the request is sent once more, over a new one.</summary>
    private async Task<HttpResponseMessage> SendPastDeadAsync(Func<HttpRequestMessage> create, bool isChosen, bool isRepeatable, CancellationToken cancellationToken)
    {
        var message = create();
        try
        {
            return await _connections.SendAsync(message, isChosen, cancellationToken);
        }
        catch (HttpRequestException exception) when (isRepeatable && UpstreamConnections.IsDead(message, exception))
        {
            return await _connections.SendAnewAsync(create(), isChosen, cancellationToken);
        }
    }

    private HttpRequestMessage CreateMessage(UpstreamRequest request, Uri url, string? authorization)
    {
        var message = new HttpRequestMessage(request.Method, url)
        {
            Content = request.Content,
            Version = url.Scheme == Uri.UriSchemeHttps ? HttpVersion.Version20 : HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        message.Headers.TryAddWithoutValidation("User-Agent", UserAgent);
        message.Headers.TryAddWithoutValidation("Accept", request.Accept);
        message.Headers.TryAddWithoutValidation("Accept-Encoding", request.IsCompressed ? "gzip, br, zstd" : "identity");
        AddIfAny(message.Headers, MirrorChain.Header, MirrorChain.HeaderOf(_options.InstanceId));
        AddIfAny(message.Headers, "If-None-Match", request.Validators.ETag);
        AddIfAny(message.Headers, "If-Modified-Since", request.Validators.LastModified);
        AddIfAny(message.Headers, "Authorization", authorization);
        return message;
    }

    private static void AddIfAny(HttpRequestHeaders headers, string name, string? value)
    {
        if (value is not null)
        {
            headers.TryAddWithoutValidation(name, value);
        }
    }

    /// <summary>Where an answer sends us on, or null: only requests that change nothing follow.</summary>
    private static string? Redirection(HttpResponseMessage response, HttpMethod method) =>
        (int)response.StatusCode is 301 or 302 or 303 or 307 or 308 && (method == HttpMethod.Get || method == HttpMethod.Head)
            ? UpstreamFailures.FirstOf(response.Headers, "Location")
            : null;

    private MirrorException Translate(Uri url, HttpRequestException exception)
    {
        switch (exception.InnerException)
        {
            case MirrorException refused:
                return refused;
            case AuthenticationException when url.Scheme == Uri.UriSchemeHttps:
                NoteHealth(url, isAway: true);
                return UpstreamFailures.Unavailable(url, "has a certificate that is not trusted here (npm's cafile names the authorities)", exception);
            default:
                // An answer that broke off says nothing about the next one.
                NoteHealth(url, isAway: exception.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.ProxyTunnelError or HttpRequestError.SecureConnectionError);
                return UpstreamFailures.Unavailable(url, $"could not be reached ({exception.InnerException?.Message ?? exception.Message})", exception);
        }
    }

    private void NoteHealth(Uri url, bool isAway)
    {
        if (SourceFence.SameOrigin(url, BaseUrl))
        {
            Interlocked.Exchange(ref _awaySince, isAway ? _timeProvider.GetTimestamp() : long.MinValue);
        }
    }

    private void NotePace(Uri url, RequestPurpose purpose, HttpResponseMessage response)
    {
        var status = (int)response.StatusCode;
        var retryAfter = UpstreamFailures.RetryAfter(response, _timeProvider);
        // A 500 is about this request; the other three are about the service, or a proxy before it.
        var isBusy = status == 429 || (purpose == RequestPurpose.Fetching ? status == 503 && retryAfter is not null : status is 502 or 503 or 504);
        if (isBusy)
        {
            Pace.Pauses.Begin(url, purpose, retryAfter, $"it answered {status}");
        }
        else
        {
            Pace.Pauses.NoteAnswered(url, purpose);
        }
    }

    private static Uri WithoutUser(Uri url) =>
        new(url.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped).TrimEnd('/'));

    private static RegistryCredentials WithUserOf(RegistryClientOptions options) => options.BaseUrl.UserInfo.Length == 0
        ? options.Credentials
        : options.Credentials.With(WithoutUser(options.BaseUrl), BasicHeader(options.BaseUrl.UserInfo));

    private static string BasicHeader(string userInfo) =>
        $"Basic {Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(Uri.UnescapeDataString(userInfo)))}";
}
