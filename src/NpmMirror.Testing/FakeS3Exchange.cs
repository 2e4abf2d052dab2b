using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Xml.Linq;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace NpmMirror.Testing;

/// <summary>One request to a <see cref="FakeS3"/>.</summary>
internal sealed class FakeS3Exchange(FakeS3 fake, HttpContext context)
{
    private static readonly XNamespace Space = "http://s3.amazonaws.com/doc/2006-03-01/";

    private readonly string _method = context.Request.Method;
    private readonly string _target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
    private FakeS3Trouble? _trouble;

    internal async Task HandleAsync()
    {
        fake.Requests.Enqueue($"{_method} {_target}");
        if (fake.Before is { } before)
        {
            await before(_method, _target);
        }

        var body = await ReadBodyAsync();
        _trouble = fake.Troubles.FirstOrDefault(trouble => trouble.Meets(_method, _target));
        if (_trouble is { Status: > 0 } failing)
        {
            await RefuseAsync(failing.Status, failing.Code);
        }
        else if (FakeS3Signature.FindFault(fake, context.Request, _target, body) is { } fault)
        {
            await RefuseAsync(fault.Status, fault.Code);
        }
        else
        {
            var path = Uri.UnescapeDataString(_target.Split('?')[0]);
            var start = $"/{fake.Bucket}";
            await (path == start || path == start + "/" ? OfBucketAsync()
                : path.StartsWith(start + "/", StringComparison.Ordinal) ? OfObjectAsync(path[(start.Length + 1)..], body)
                : RefuseAsync(404, "NoSuchBucket"));
        }
    }

    private async Task<byte[]> ReadBodyAsync()
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        return body.ToArray();
    }

    private Task OfBucketAsync() => _method != "GET" ? RefuseAsync(501, "NotImplemented") : context.Request.Query.ContainsKey("uploads") ? ListUploadsAsync() : ListAsync();

    private Task OfObjectAsync(string key, byte[] body)
    {
        var query = context.Request.Query;
        return (_method, query.ContainsKey("uploads"), query["uploadId"].ToString()) switch
        {
            ("POST", true, _) => BeginAsync(key),
            ("PUT", _, { Length: > 0 } upload) => TakePartAsync(upload, int.Parse(query["partNumber"].ToString(), CultureInfo.InvariantCulture), body),
            ("POST", _, { Length: > 0 } upload) => FinishAsync(key, upload),
            ("DELETE", _, { Length: > 0 } upload) => AbandonAsync(upload),
            ("PUT", _, _) => PutAsync(key, body),
            ("GET" or "HEAD", _, _) => SendAsync(key),
            ("DELETE", _, _) => DeleteAsync(key),
            _ => RefuseAsync(501, "NotImplemented"),
        };
    }

    private Task PutAsync(string key, byte[] body)
    {
        if (context.Request.Headers.IfNoneMatch == "*" && fake.Objects.ContainsKey(key))
        {
            return RefuseAsync(412, "PreconditionFailed");
        }

        if (fake.Objects.Count >= fake.ObjectsMax && !fake.Objects.ContainsKey(key))
        {
            return RefuseAsync(507, "QuotaExceeded");
        }

        Store(key, body);
        context.Response.Headers.ETag = TagOf(body);
        return Task.CompletedTask;
    }

    private Task DeleteAsync(string key)
    {
        fake.Objects.TryRemove(key, out _);
        context.Response.StatusCode = 204;
        return Task.CompletedTask;
    }

    private async Task SendAsync(string key)
    {
        if (!fake.Objects.TryGetValue(key, out var found))
        {
            await RefuseAsync(404, "NoSuchKey");
            return;
        }

        var response = context.Response;
        var (from, to) = (0, found.Bytes.Length - 1);
        if (context.Request.GetTypedHeaders().Range?.Ranges.SingleOrDefault() is { From: { } first } range)
        {
            if (first >= found.Bytes.Length)
            {
                await RefuseAsync(416, "InvalidRange");
                return;
            }

            (from, to) = ((int)first, (int)Math.Min(range.To ?? to, to));
            response.StatusCode = 206;
            response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {from}-{to}/{found.Bytes.Length}");
        }

        response.ContentLength = to - from + 1;
        response.Headers.ETag = TagOf(found.Bytes);
        response.Headers.LastModified = found.StoredAt.ToString("R", CultureInfo.InvariantCulture);
        if (_method == "HEAD")
        {
            return;
        }

        if (_trouble?.CutAfterBytes is { } cut && cut < to - from + 1)
        {
            await response.Body.WriteAsync(found.Bytes.AsMemory(from, cut), context.RequestAborted);
            // The server ends the connection of an answer that is shorter than it said, after what was written.
            await response.Body.FlushAsync(context.RequestAborted);
            return;
        }

        await response.Body.WriteAsync(found.Bytes.AsMemory(from, to - from + 1), context.RequestAborted);
    }

    private Task ListAsync()
    {
        var query = context.Request.Query;
        var prefix = query["prefix"].ToString();
        var after = query["continuation-token"].ToString() is { Length: > 0 } token ? Encoding.UTF8.GetString(Convert.FromHexString(token)) : "";
        var rest = fake.Objects.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal) && string.CompareOrdinal(entry.Key, after) > 0).OrderBy(entry => entry.Key, StringComparer.Ordinal).ToList();
        var page = rest.Take(fake.PageSize).ToList();
        var isCut = rest.Count > page.Count;
        return AnswerAsync(new XElement(
            Space + "ListBucketResult",
            new XElement(Space + "Name", fake.Bucket),
            new XElement(Space + "Prefix", prefix),
            new XElement(Space + "KeyCount", page.Count),
            new XElement(Space + "MaxKeys", fake.PageSize),
            new XElement(Space + "IsTruncated", isCut),
            isCut ? new XElement(Space + "NextContinuationToken", Convert.ToHexString(Encoding.UTF8.GetBytes(page[^1].Key))) : null,
            page.Select(entry => new XElement(
                Space + "Contents",
                new XElement(Space + "Key", entry.Key),
                new XElement(Space + "LastModified", Written(entry.Value.StoredAt)),
                new XElement(Space + "ETag", TagOf(entry.Value.Bytes)),
                new XElement(Space + "Size", entry.Value.Bytes.Length),
                new XElement(Space + "StorageClass", "STANDARD")))));
    }

    private Task ListUploadsAsync()
    {
        var prefix = context.Request.Query["prefix"].ToString();
        return AnswerAsync(new XElement(
            Space + "ListMultipartUploadsResult",
            new XElement(Space + "Bucket", fake.Bucket),
            new XElement(Space + "IsTruncated", false),
            fake.Uploads.Where(upload => upload.Value.Key.StartsWith(prefix, StringComparison.Ordinal)).Select(upload => new XElement(
                Space + "Upload",
                new XElement(Space + "Key", upload.Value.Key),
                new XElement(Space + "UploadId", upload.Key),
                new XElement(Space + "Initiated", Written(upload.Value.BegunAt))))));
    }

    private Task BeginAsync(string key)
    {
        var id = Guid.NewGuid().ToString("N");
        fake.Uploads[id] = new FakeS3Upload(key, fake.Time.GetUtcNow(), new());
        return AnswerAsync(new XElement(Space + "InitiateMultipartUploadResult", new XElement(Space + "Bucket", fake.Bucket), new XElement(Space + "Key", key), new XElement(Space + "UploadId", id)));
    }

    private Task TakePartAsync(string upload, int number, byte[] body)
    {
        if (!fake.Uploads.TryGetValue(upload, out var found))
        {
            return RefuseAsync(404, "NoSuchUpload");
        }

        found.Parts[number] = body;
        context.Response.Headers.ETag = TagOf(body);
        return Task.CompletedTask;
    }

    private Task FinishAsync(string key, string upload)
    {
        if (!fake.Uploads.TryRemove(upload, out var found))
        {
            return RefuseAsync(404, "NoSuchUpload");
        }

        Store(key, [.. found.Parts.OrderBy(part => part.Key).SelectMany(part => part.Value)]);
        return AnswerAsync(new XElement(Space + "CompleteMultipartUploadResult", new XElement(Space + "Bucket", fake.Bucket), new XElement(Space + "Key", key), new XElement(Space + "ETag", "\"parts\"")));
    }

    private Task AbandonAsync(string upload)
    {
        if (!fake.Uploads.TryRemove(upload, out _))
        {
            return RefuseAsync(404, "NoSuchUpload");
        }

        context.Response.StatusCode = 204;
        return Task.CompletedTask;
    }

    private void Store(string key, byte[] body)
    {
        var now = fake.Time.GetUtcNow();
        fake.Objects[key] = new FakeS3Object(body, now.AddTicks(-(now.Ticks % TimeSpan.TicksPerSecond)));
    }

    private Task RefuseAsync(int status, string code)
    {
        context.Response.StatusCode = status;
        return _method == "HEAD" ? Task.CompletedTask : AnswerAsync(new XElement("Error", new XElement("Code", code), new XElement("Message", $"The fake says {code}."), new XElement("RequestId", "1")));
    }

    private async Task AnswerAsync(XElement root)
    {
        context.Response.ContentType = "application/xml";
        await context.Response.WriteAsync("<?xml version=\"1.0\" encoding=\"UTF-8\"?>" + root.ToString(SaveOptions.DisableFormatting), context.RequestAborted);
    }

    private static string TagOf(byte[] bytes) => $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes))[..32]}\"";

    private static string Written(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
}
