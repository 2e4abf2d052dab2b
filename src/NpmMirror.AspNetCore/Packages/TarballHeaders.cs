using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Packages;

/// <summary>The headers of a tarball, as the registry sends them, and the conditions that hang on them.</summary>
internal static class TarballHeaders
{
    private const int ETagBytes = 16;
    private const string ContentType = "application/octet-stream";
    private const string ForEver = "public, immutable, max-age=31557600";

    /// <summary>Writes the headers of 200, 206 and 304 alike. Never a Content-Encoding: a label on a .tgz breaks most clients.</summary>
    internal static void Write(HttpResponse response, Digest sha512, DateTimeOffset? storedAt, bool isPromised = true)
    {
        var headers = response.Headers;
        headers.ContentType = ContentType;
        // Bytes without a promised hash may be others tomorrow, as a packument may.
        headers.CacheControl = isPromised ? ForEver : CommonHeaders.PackumentCacheControl;
        headers.AcceptRanges = "bytes";
        if (ETagOf(sha512) is { } etag)
        {
            headers.ETag = etag;
        }

        if (storedAt is { } at)
        {
            headers.LastModified = DateOf(at);
        }
    }

    /// <summary>Sends the client to another place for the bytes, in place of what <see cref="Write"/> wrote.</summary>
    internal static void Redirect(HttpResponse response, Uri address)
    {
        var headers = response.Headers;
        response.StatusCode = StatusCodes.Status302Found;
        headers.Location = address.AbsoluteUri;
        // The address expires in minutes.
        headers.CacheControl = "no-store";
        headers.ContentLength = 0;
        headers.Remove(HeaderNames.ETag);
        headers.Remove(HeaderNames.LastModified);
        headers.Remove(HeaderNames.AcceptRanges);
        headers.Remove(HeaderNames.ContentType);
    }

    /// <summary>The same as lines of a head, for bytes that are the same for ever.</summary>
    internal static string Lines(Digest sha512, DateTimeOffset? storedAt, CrossOriginPolicy crossOrigin) =>
        $"Content-Type: {ContentType}\r\nCache-Control: {ForEver}\r\nAccept-Ranges: bytes\r\n{crossOrigin.Lines}"
        + (ETagOf(sha512) is { } etag ? $"ETag: {etag}\r\n" : "")
        + (storedAt is { } at ? $"Last-Modified: {DateOf(at)}\r\n" : "");

    /// <summary>The ETag, quotes included; null if no hash is known.</summary>
    internal static string? ETagOf(Digest sha512) => sha512.IsEmpty ? null : $"\"{Convert.ToHexStringLower(sha512.Bytes[..ETagBytes])}\"";

    /// <summary>Whether the client has it already: <c>If-None-Match</c> decides, and without it <c>If-Modified-Since</c>.</summary>
    internal static bool IsNotModified(HttpRequest request, HttpResponse response)
    {
        var tags = request.Headers.IfNoneMatch;
        if (tags.Count > 0)
        {
            return response.Headers.ETag is [{ } own] && tags.OfType<string>().Any(list => EntityTags.Names(list, own));
        }

        return request.Headers.IfModifiedSince.Count > 0
            && HeaderUtilities.TryParseDate(request.Headers.IfModifiedSince.ToString(), out var since)
            && HeaderUtilities.TryParseDate(response.Headers.LastModified.ToString(), out var modified)
            && modified <= since;
    }

    private static string DateOf(DateTimeOffset at) => at.ToString("R", CultureInfo.InvariantCulture);
}
