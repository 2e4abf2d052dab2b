using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace NpmMirror.AspNetCore;

/// <summary>The headers of a tarball, as the registry sends them, and the conditions that hang on them.</summary>
internal static class TarballHeaders
{
    private const int ETagBytes = 16;

    /// <summary>Writes what goes with 200, 206 and 304 alike. Never a Content-Encoding: a label on a .tgz breaks most clients.</summary>
    internal static void Write(HttpResponse response, Digest sha512, DateTimeOffset? storedAt)
    {
        var headers = response.Headers;
        headers.ContentType = "application/octet-stream";
        headers.CacheControl = "public, immutable, max-age=31557600";
        headers.AcceptRanges = "bytes";
        headers.AccessControlAllowOrigin = "*";
        if (!sha512.IsEmpty)
        {
            headers.ETag = $"\"{Convert.ToHexStringLower(sha512.Bytes[..ETagBytes])}\"";
        }

        if (storedAt is { } at)
        {
            headers.LastModified = at.ToString("R", CultureInfo.InvariantCulture);
        }
    }

    /// <summary>Whether the client has it already: <c>If-None-Match</c> decides, and without it <c>If-Modified-Since</c>.</summary>
    internal static bool IsNotModified(HttpRequest request, HttpResponse response)
    {
        var tags = request.Headers.IfNoneMatch;
        if (tags.Count > 0)
        {
            return EntityTagHeaderValue.TryParse(response.Headers.ETag.ToString(), out var own)
                && EntityTagHeaderValue.TryParseList(tags, out var known)
                && known.Any(tag => tag.Equals(EntityTagHeaderValue.Any) || tag.Compare(own, useStrongComparison: false));
        }

        return request.Headers.IfModifiedSince.Count > 0
            && HeaderUtilities.TryParseDate(request.Headers.IfModifiedSince.ToString(), out var since)
            && HeaderUtilities.TryParseDate(response.Headers.LastModified.ToString(), out var modified)
            && modified <= since;
    }
}
