using System.Net;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;

namespace NpmMirror.Upstream;

/// <summary>The one HTTP client towards the upstream: packuments, tarballs and forwarded requests.</summary>
internal sealed partial class RegistryClient : IDisposable
{
    // Requests for waiting clients have a limit of their own, and a wide one: a hundred requests that hang delay no other.
    private const int AwaitedMax = 256;

    private static readonly TimeSpan ReasonTimeout = TimeSpan.FromSeconds(5);

    private readonly RegistryClientOptions _options;
    private readonly ByteBudget _budget;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _awaited = new(AwaitedMax);
    private readonly RequestPlaces _places;

    /// <summary>Creates the client; it sends no request yet.</summary>
    /// <param name="options">The upstream's address and credentials.</param>
    /// <param name="budget">Where packuments in memory are accounted.</param>
    /// <param name="timeProvider">The clock of all time-outs.</param>
    /// <param name="logger">Requests at debug.</param>
    public RegistryClient(RegistryClientOptions options, ByteBudget budget, TimeProvider timeProvider, ILogger logger)
    {
        _options = options;
        _budget = budget;
        _timeProvider = timeProvider;
        _logger = logger;
        _places = new RequestPlaces(options.Concurrency, timeProvider);
        Transport = new UpstreamTransport(options, timeProvider);
    }

    /// <summary>The upstream's address, without a trailing slash (but that of an empty path).</summary>
    public Uri BaseUrl => Transport.BaseUrl;

    /// <summary>True while the upstream is known to be away: nothing could connect to it a few seconds ago. A slow or failed answer is not that.</summary>
    public bool IsAway => Transport.IsAway;

    /// <summary>True if the upstream, and the hosts that its tarballs may come from, are asked without any credentials: then their answers are public.</summary>
    public bool IsAnonymous => Transport.IsAnonymous;

    internal UpstreamTransport Transport { get; }

    /// <summary>The present pauses in requests to the upstream's hosts.</summary>
    internal RequestPauses Pauses => Transport.Pace.Pauses;

    /// <summary>See <see cref="RequestPace.ShareAmong"/>.</summary>
    internal void ShareAmong(int nodes) => Transport.Pace.ShareAmong(nodes);

    /// <summary>The tries of one request.</summary>
    internal BoundedRetry NewRetry() => new(_timeProvider, _logger);

    /// <summary>Where a packument is.</summary>
    internal Uri AddressOf(PackageName name) => Transport.At($"/{name.UrlSegment}");

    /// <summary>Asks for the full packument.</summary>
    /// <param name="name">The package.</param>
    /// <param name="validators">Of the stored document, for a conditional request.</param>
    /// <param name="isCacheBusted">Adds a query that passes caches, when a cache between answered an older rev than wanted.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <exception cref="MirrorException">Upstream trouble; answers whether to retry and when. One request: retries are the caller's.</exception>
    public Task<PackumentAnswer> GetPackumentAsync(PackageName name, Validators validators, bool isCacheBusted, CancellationToken cancellationToken) =>
        GetPackumentAsync(name, validators, isCacheBusted, patience: null, cancellationToken);

    /// <summary>As the other one; with <paramref name="patience"/> no client waits for it, so requests for waiting clients go ahead.</summary>
    internal async Task<PackumentAnswer> GetPackumentAsync(PackageName name, Validators validators, bool isCacheBusted, Patience? patience, CancellationToken cancellationToken)
    {
        var query = isCacheBusted ? $"?t={_timeProvider.GetUtcNow().ToUnixTimeMilliseconds()}&cache=0" : "";
        var url = Transport.At($"/{name.UrlSegment}{query}");
        using var place = patience is null ? null : await EnterPatientlyAsync(url, patience, cancellationToken);
        var request = new UpstreamRequest(HttpMethod.Get, url) { Accept = "application/json", Validators = validators, IsPatient = place is not null };
        if (place is not null)
        {
            return await UpstreamEdge.RunAsync(url, () => AskForPackumentAsync(request, cancellationToken), cancellationToken);
        }

        await _awaited.WaitAsync(cancellationToken);
        try
        {
            return await UpstreamEdge.RunAsync(url, () => AskForPackumentAsync(request, cancellationToken), cancellationToken);
        }
        finally
        {
            _awaited.Release();
        }
    }

    /// <summary>Waits until the upstream may be asked without a waiting client.</summary>
    internal ValueTask WaitForTurnAsync(CancellationToken cancellationToken) => Transport.Pace.EnterAsync(BaseUrl, isPatient: true, cancellationToken, isTaking: false);

    /// <summary>Opens a tarball from an allowed source: the upstream's host or one of <c>tarballHosts</c>, also after redirects; credentials go to the upstream's host only.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.ForbiddenSource"/>, or upstream trouble.</exception>
    public async Task<TarballAnswer> OpenTarballAsync(Uri url, CancellationToken cancellationToken)
    {
        // No part would undo a coding here: the hash is that of the file.
        var request = new UpstreamRequest(HttpMethod.Get, url) { Accept = "application/octet-stream, */*", IsCompressed = false, IsTarball = true };
        return await UpstreamEdge.RunAsync(url, () => AskForTarballAsync(request, cancellationToken), cancellationToken);
    }

    /// <summary>
    /// Forwards a request to a path of the upstream (search, audit, keys, attestations) and returns the answer as it comes, with any
    /// status; only a content coding is undone, gzip also if it is not declared. The body obeys the client's time-outs and limit.
    /// </summary>
    /// <param name="purpose">The purpose: a busy upstream pauses requests of this purpose only.</param>
    /// <param name="method">GET, HEAD or POST.</param>
    /// <param name="pathAndQuery">Below the upstream's address, from its slash on.</param>
    /// <param name="content">The request's body, or null.</param>
    /// <param name="timeout">How long to wait for the headers, and for each piece of the body.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <exception cref="MirrorException">No answer.</exception>
    public async Task<HttpResponseMessage> ForwardAsync(RequestPurpose purpose, HttpMethod method, string pathAndQuery, HttpContent? content, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(pathAndQuery);
        if (pathAndQuery[0] != '/')
        {
            throw new ArgumentException("The path must begin with a slash.", nameof(pathAndQuery));
        }

        var request = new UpstreamRequest(method, Transport.At(pathAndQuery)) { Purpose = purpose, Content = content, Accept = "application/json, */*", HeadersTimeout = timeout };
        return await UpstreamEdge.RunAsync(request.Url, () => ForwardAsync(request, timeout, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Transport.Dispose();
        _awaited.Dispose();
        _places.Dispose();
    }

    /// <summary>A place among the requests without a waiting client; null if a client came to wait for this one, which then needs none.</summary>
    private async Task<IDisposable?> EnterPatientlyAsync(Uri url, Patience patience, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Ended);
        try
        {
            // Before the place is taken: the host may be paused for minutes, and a place is for requests under way.
            await Transport.Pace.EnterAsync(url, isPatient: true, either.Token);
            return await _places.EnterAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private async Task<PackumentAnswer> AskForPackumentAsync(UpstreamRequest request, CancellationToken cancellationToken)
    {
        using var response = await Transport.SendAsync(request, cancellationToken);
        LogAnswered(request.Method, response.Url.AbsolutePath, (int)response.Message.StatusCode);
        return response switch
        {
            { Message.StatusCode: HttpStatusCode.OK } => await ReadPackumentAsync(response, cancellationToken),
            { Message.StatusCode: HttpStatusCode.NotModified } when !request.Validators.IsEmpty => new PackumentAnswer.NotModified(),
            { IsAbsent: true } => await ReadAbsenceAsync(response, cancellationToken),
            _ => throw UpstreamFailures.OfStatus(response, await ReasonAsync(response, cancellationToken), _timeProvider),
        };
    }

    private async Task<TarballAnswer> AskForTarballAsync(UpstreamRequest request, CancellationToken cancellationToken)
    {
        var response = await Transport.SendAsync(request, cancellationToken);
        try
        {
            LogAnswered(request.Method, response.Url.AbsolutePath, (int)response.Message.StatusCode);
            if (response.Message.StatusCode == HttpStatusCode.OK)
            {
                return OpenTarball(response);
            }

            var reason = await ReasonAsync(response, cancellationToken);
            var status = (int)response.Message.StatusCode;
            response.Dispose();
            return response.IsAbsent ? new TarballAnswer.Absent(status, reason) : throw UpstreamFailures.OfStatus(response, reason, _timeProvider);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private async Task<HttpResponseMessage> ForwardAsync(UpstreamRequest request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var response = await Transport.SendAsync(request, cancellationToken);
        LogAnswered(request.Method, response.Url.AbsolutePath, (int)response.Message.StatusCode);
        try
        {
            return Decoded(response, timeout);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private async Task<PackumentAnswer> ReadPackumentAsync(UpstreamResponse response, CancellationToken cancellationToken)
    {
        if (UpstreamFailures.IsHtml(response.Message))
        {
            throw UpstreamFailures.Unavailable(response.Url, "answered 200 with HTML instead of a packument");
        }

        await using var body = UpstreamBody.Open(response, new BodyLimits(long.MaxValue, _options.Timeout), isFile: false, _timeProvider);
        var document = await RawDocument.ReadAsync(body, _budget, _options.PackumentMaxBytes, BudgetUse.Storing, cancellationToken)
            ?? throw UpstreamFailures.TooLarge(response.Url, _options.PackumentMaxBytes);
        if (Problem(document.Bytes) is { } problem)
        {
            document.Dispose();
            throw UpstreamFailures.Unavailable(response.Url, problem);
        }

        return new PackumentAnswer.Fetched(document, ValidatorsOf(response.Message));
    }

    /// <summary>Why a body is certainly no packument, as registries send it while they deploy; the parser judges all else.</summary>
    private static string? Problem(ReadOnlySpan<byte> body)
    {
        var text = body.TrimStart("\uFEFF \t\r\n"u8);
        return text switch
        {
            [] => "answered 200 with an empty body",
            [(byte)'<', ..] => "answered 200 with HTML instead of a packument",
            _ => null,
        };
    }

    private static Validators ValidatorsOf(HttpResponseMessage response) => new(
        HeaderValues.Validator(UpstreamFailures.FirstOf(response.Headers, "ETag")),
        HeaderValues.Validator(UpstreamFailures.FirstOf(response.Content.Headers, "Last-Modified")));

    private static long? LengthOf(HttpResponseMessage response) => HeaderValues.Count(UpstreamFailures.FirstOf(response.Content.Headers, "Content-Length"));

    private TarballAnswer.Opened OpenTarball(UpstreamResponse response)
    {
        var length = LengthOf(response.Message);
        if (length > _options.TarballMaxBytes)
        {
            throw UpstreamFailures.TooLarge(response.Url, _options.TarballMaxBytes);
        }

        var body = UpstreamBody.Open(response, new BodyLimits(_options.TarballMaxBytes, _options.Timeout), isFile: true, _timeProvider);
        // The length of the decoded file is not known.
        return new TarballAnswer.Opened(body, UpstreamBody.CodingsOf(response.Message).Applied.Count > 0 ? null : length, body);
    }

    private HttpResponseMessage Decoded(UpstreamResponse response, TimeSpan timeout)
    {
        var message = response.Message;
        var body = UpstreamBody.Open(response with { Message = Detached(message) }, new BodyLimits(_options.ForwardedMaxBytes, timeout), isFile: false, _timeProvider);
        var content = new StreamContent(UpstreamBody.CodingsOf(message).Applied.Count < BodyCodings.CodingsMax ? new UndeclaredGzip(body, response.Url) : body);
        foreach (var header in message.Content.Headers.NonValidated)
        {
            if (!header.Key.Equals("Content-Encoding", StringComparison.OrdinalIgnoreCase) && !header.Key.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
            {
                content.Headers.TryAddWithoutValidation(header.Key, header.Value.ToString());
            }
        }

        message.Content = content;
        return message;
    }

    /// <summary>The body's owner must not be the message that is to hold the body: disposing either disposes both.</summary>
    private static HttpResponseMessage Detached(HttpResponseMessage message) => new(message.StatusCode) { Content = message.Content };

    private async Task<PackumentAnswer> ReadAbsenceAsync(UpstreamResponse response, CancellationToken cancellationToken)
    {
        var (reason, notice) = await UpstreamFailures.ReadExplanationAsync(response, ReasonTimeout, _timeProvider, cancellationToken);
        return new PackumentAnswer.Absent((int)response.Message.StatusCode, reason, notice);
    }

    private Task<string?> ReasonAsync(UpstreamResponse response, CancellationToken cancellationToken) =>
        UpstreamFailures.ReadReasonAsync(response, ReasonTimeout, _timeProvider, cancellationToken);

    [LoggerMessage(EventIds.Upstream + 1, LogLevel.Debug, "{Method} {Path} at the upstream: {Status}")]
    private partial void LogAnswered(HttpMethod method, string path, int status);
}
