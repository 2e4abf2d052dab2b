using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace NpmMirror.Testing;

/// <summary>One request and its answer: notes it, disturbs it, and finds its handler.</summary>
internal sealed partial class FakeExchange(FakeRegistry registry, HttpContext context)
{
    private const int BodyMaxBytes = 16 * 1024 * 1024;

    private RecordedRequest _request = new("", "", "", new Dictionary<string, string>(), default);
    private FakeDisturbance _disturbance = new();

    public FakeRegistry Registry => registry;

    public HttpContext Context => context;

    public RecordedRequest Request => _request;

    public async Task HandleAsync()
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, registry.Stopping);
        try
        {
            await ReadAsync(ending.Token);
            if (_request.Path.StartsWith(FakeControlEndpoint.Prefix, StringComparison.Ordinal))
            {
                await new FakeControlEndpoint(this).AnswerAsync(ending.Token);
                return;
            }

            registry.Requests.Add(_request);
            _disturbance = registry.Knobs.For(_request.Method, _request.Path);
            if (registry.Knobs.Mishaps.NextTrouble() is { } trouble)
            {
                _disturbance.Add(trouble);
            }

            var counts = _disturbance.Hangs || _request.Path.EndsWith("/_changes", StringComparison.Ordinal) ? 0 : 1;
            registry.Count(counts);
            try
            {
                if (!await DisturbAsync(ending.Token))
                {
                    await RouteAsync(ending.Token);
                }
            }
            finally
            {
                registry.Count(-counts);
            }
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            context.Abort();
        }
    }

    public string? Query(string name) => context.Request.Query.TryGetValue(name, out var value) ? value.ToString() : null;

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var query = target.IndexOf('?', StringComparison.Ordinal);
        _request = new RecordedRequest(
            context.Request.Method,
            target,
            Uri.UnescapeDataString(query < 0 ? target : target[..query]),
            context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase),
            HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method) ? default : await ReadBodyAsync(cancellationToken));
    }

    private async Task<byte[]> ReadBodyAsync(CancellationToken cancellationToken)
    {
        await using var body = context.Request.Headers.ContentEncoding == "gzip" ? new GZipStream(context.Request.Body, CompressionMode.Decompress) : context.Request.Body;
        using var bytes = new MemoryStream();
        var piece = new byte[16 * 1024];
        int read;
        while ((read = await body.ReadAsync(piece, cancellationToken)) > 0 && bytes.Length < BodyMaxBytes)
        {
            bytes.Write(piece, 0, read);
        }

        return bytes.ToArray();
    }

    /// <summary>Lets the rules happen that come before an answer; true when that was the answer.</summary>
    private async Task<bool> DisturbAsync(CancellationToken cancellationToken)
    {
        foreach (var gate in _disturbance.Gates)
        {
            await gate.PassAsync(cancellationToken);
        }

        if (_disturbance.HeaderDelay > TimeSpan.Zero)
        {
            await Task.Delay(_disturbance.HeaderDelay, registry.Time, cancellationToken);
        }

        if (_disturbance.Hangs)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, registry.Time, cancellationToken);
        }

        if (_disturbance.RedirectTo is { } address)
        {
            context.Response.Headers.Location = address;
            await SendAsync(302, "text/plain", Encoding.UTF8.GetBytes($"Found. Redirecting to {address}"), cancellationToken);
            return true;
        }

        if (_disturbance.Answer is { Status: { } status } answer)
        {
            await SendAsync(status, answer.ContentType, Encoding.UTF8.GetBytes(answer.Body), cancellationToken);
            return true;
        }

        if (registry.Knobs.RequiredAuthorization is { } required && _request.Header("Authorization") != required)
        {
            await SendJsonAsync(401, new JsonObject { ["error"] = "Unauthorized" }, cancellationToken);
            return true;
        }

        return false;
    }

    private Task RouteAsync(CancellationToken cancellationToken)
    {
        var path = _request.Path;
        if (HttpMethods.IsPost(_request.Method))
        {
            return AnswerPostAsync(path, cancellationToken);
        }

        if (!HttpMethods.IsGet(_request.Method) && !HttpMethods.IsHead(_request.Method))
        {
            return MethodNotAllowedAsync(cancellationToken);
        }

        if (registry.Tarballs.TryGetValue(path, out var tarball))
        {
            return registry.TarballsFrom.TryGetValue(path, out var from) && registry.Time.GetUtcNow() < from
                ? NotFoundAsync(cancellationToken)
                : SendTarballAsync(tarball, cancellationToken);
        }

        if (FakeFeed.Serves(registry, path))
        {
            return new FakeFeed(this).AnswerAsync(cancellationToken);
        }

        return path.StartsWith("/-/", StringComparison.Ordinal) ? AnswerApiAsync(path, cancellationToken) : AnswerPackageAsync(path.TrimStart('/'), cancellationToken);
    }

    private Task MethodNotAllowedAsync(CancellationToken cancellationToken) =>
        SendJsonAsync(405, new JsonObject { ["code"] = "MethodNotAllowedError", ["message"] = $"{_request.Method} is not allowed" }, cancellationToken);

    public Task NotFoundAsync(CancellationToken cancellationToken) => SendJsonAsync(404, new JsonObject { ["error"] = "Not found" }, cancellationToken);

    public Task SendJsonAsync(int status, JsonNode body, CancellationToken cancellationToken) => SendJsonAsync(status, FakeJson.Bytes(body), FakeFraming.ContentLength, cancellationToken);

    private void AddHeaders()
    {
        foreach (var (name, value) in _disturbance.Headers)
        {
            context.Response.Headers[name] = new StringValues(value);
        }
    }
}
