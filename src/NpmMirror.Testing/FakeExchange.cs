using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace NpmMirror.Testing;

/// <summary>One request and its answer: notes it, disturbs it, and finds who answers.</summary>
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
            var counts = _request.Path.EndsWith("/_changes", StringComparison.Ordinal) ? 0 : 1;
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
            return SendTarballAsync(tarball, cancellationToken);
        }

        if (FakeFeed.Serves(registry, path))
        {
            return new FakeFeed(this).AnswerAsync(cancellationToken);
        }

        return path.StartsWith("/-/", StringComparison.Ordinal) ? AnswerApiAsync(path, cancellationToken) : AnswerPackageAsync(path.TrimStart('/'), cancellationToken);
    }

    private Task MethodNotAllowedAsync(CancellationToken cancellationToken) =>
        SendJsonAsync(405, new JsonObject { ["code"] = "MethodNotAllowedError", ["message"] = $"{_request.Method} is not allowed" }, cancellationToken);

    private Task AnswerPackageAsync(string path, CancellationToken cancellationToken)
    {
        var end = path.IndexOf('/', path.StartsWith('@') ? Math.Max(path.IndexOf('/', StringComparison.Ordinal) + 1, 1) : 0);
        var name = end < 0 ? path : path[..end];
        var rest = end < 0 ? "" : path[(end + 1)..];
        if (rest.Length == 0)
        {
            return SendPackumentAsync(name, cancellationToken);
        }

        return rest.Contains('/', StringComparison.Ordinal) ? NotFoundAsync(cancellationToken) : SendVersionAsync(name, rest, cancellationToken);
    }

    private FakeDocument? FindServed(string name)
    {
        var knobs = registry.Knobs;
        var document = registry.Database.Find(knobs.ServedInstead.GetValueOrDefault(name, name));
        document = document is not null && knobs.Lagging.ContainsKey(name) ? document.Previous : document;
        return document is { IsDeleted: false } ? document : null;
    }

    private Task SendPackumentAsync(string name, CancellationToken cancellationToken)
    {
        var knobs = registry.Knobs;
        if (FindServed(name) is not { } document)
        {
            return NotFoundAsync(cancellationToken);
        }

        var isAbbreviated = !knobs.IsFullOnly && _request.Header("Accept")?.Contains(FakeBody.AbbreviatedType, StringComparison.OrdinalIgnoreCase) == true;
        var body = document.Body(new FakeForm(isAbbreviated, knobs.HasRevision, knobs.HasModified));
        var headers = context.Response.Headers;
        headers.CacheControl = "public, max-age=300";
        headers.Vary = "Accept, Accept-Encoding";
        headers.AccessControlAllowOrigin = "*";
        if (knobs.HasETag)
        {
            headers.ETag = body.ETag;
        }

        if (knobs.HasLastModified && body.LastModified is { } modified)
        {
            headers.LastModified = modified.ToString("R", CultureInfo.InvariantCulture);
        }

        if (IsFresh(knobs, body))
        {
            return SendAsync(304, contentType: null, default, cancellationToken);
        }

        if (knobs.HasGzip && _request.Header("Accept-Encoding")?.Contains("gzip", StringComparison.OrdinalIgnoreCase) == true)
        {
            headers.ContentEncoding = "gzip";
            return SendAsync(200, body.ContentType, _disturbance.TruncatesGzip ? body.Gzip.AsMemory(0, body.Gzip.Length / 2) : body.Gzip, cancellationToken);
        }

        return SendAsync(200, body.ContentType, body.Raw, cancellationToken);
    }

    private bool IsFresh(FakeKnobs knobs, FakeBody body)
    {
        if (_request.Header("If-None-Match") is { } tags)
        {
            return knobs.HasETag && tags.Split(',').Any(tag => tag.Trim() is "*" || tag.Trim().Replace("W/", "", StringComparison.Ordinal) == body.ETag);
        }

        return knobs.HasLastModified && body.LastModified is { } modified && _request.Header("If-Modified-Since") is { } since
            && DateTimeOffset.TryParse(since, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date) && modified.ToUnixTimeSeconds() <= date.ToUnixTimeSeconds();
    }

    private Task SendVersionAsync(string name, string versionOrTag, CancellationToken cancellationToken)
    {
        var packument = FindServed(name) is { } document ? FakeJson.TryParse(document.Json) : null;
        if (packument is null)
        {
            return NotFoundAsync(cancellationToken);
        }

        var version = packument["dist-tags"]?[versionOrTag]?.GetValue<string>() ?? versionOrTag;
        return packument["versions"]?[version] is { } manifest
            ? SendJsonAsync(200, manifest, cancellationToken)
            : SendJsonAsync(404, JsonValue.Create($"version not found: {versionOrTag}"), cancellationToken);
    }

    private Task SendTarballAsync(byte[] tarball, CancellationToken cancellationToken)
    {
        var headers = context.Response.Headers;
        headers.CacheControl = "public, immutable, max-age=31557600";
        ReadOnlyMemory<byte> body = tarball;
        if (_disturbance.CorruptsBody)
        {
            var corrupt = (byte[])tarball.Clone();
            corrupt[corrupt.Length / 2] ^= 0x55;
            body = corrupt;
        }

        if (!registry.Knobs.HasRanges)
        {
            return SendAsync(200, "application/octet-stream", body, cancellationToken);
        }

        headers.AcceptRanges = "bytes";
        if (FakeRange.Parse(_request.Header("Range"), body.Length) is not { } range)
        {
            return SendAsync(200, "application/octet-stream", body, cancellationToken);
        }

        if (range.Length == 0)
        {
            headers.ContentRange = $"bytes */{body.Length}";
            return SendAsync(416, "text/plain", "Range Not Satisfiable"u8.ToArray(), cancellationToken);
        }

        headers.ContentRange = $"bytes {range.Start}-{range.Start + range.Length - 1}/{body.Length}";
        return SendAsync(206, "application/octet-stream", body.Slice(range.Start, range.Length), cancellationToken);
    }

    public Task NotFoundAsync(CancellationToken cancellationToken) => SendJsonAsync(404, new JsonObject { ["error"] = "Not found" }, cancellationToken);

    public Task SendJsonAsync(int status, JsonNode body, CancellationToken cancellationToken) => SendAsync(status, "application/json", FakeJson.Bytes(body), cancellationToken);

    /// <summary>Begins a body of unknown length, for feeds.</summary>
    public void Begin(int status, string contentType)
    {
        _request.Status = status;
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        AddHeaders();
    }

    private void AddHeaders()
    {
        foreach (var (name, value) in _disturbance.Headers)
        {
            context.Response.Headers[name] = new StringValues(value);
        }
    }
}
