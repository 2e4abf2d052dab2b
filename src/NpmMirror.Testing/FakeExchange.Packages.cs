using System.Globalization;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <content>The routes of packages: packuments, manifests and tarballs.</content>
internal sealed partial class FakeExchange
{
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
        document = document is not null && (knobs.Lagging.ContainsKey(name) || document.ServedFrom > registry.Time.GetUtcNow()) ? document.Previous : document;
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

        if (knobs.HasGzip && AcceptsGzip)
        {
            headers.ContentEncoding = "gzip";
            return SendAsync(200, body.ContentType, Truncated(body.Gzip), cancellationToken);
        }

        return SendAsync(200, body.ContentType, body.Raw, cancellationToken);
    }

    private bool IsFresh(FakeKnobs knobs, FakeBody body)
    {
        if (knobs.IsNeverModified && (_request.Header("If-None-Match") ?? _request.Header("If-Modified-Since")) is not null)
        {
            return true;
        }

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
}
