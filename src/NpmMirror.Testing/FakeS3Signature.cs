using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace NpmMirror.Testing;

/// <summary>The signature of a request, version 4, as Amazon checks it: the key, the time, what is signed, and the body's hash.</summary>
internal static class FakeS3Signature
{
    private const string Algorithm = "AWS4-HMAC-SHA256";
    private static readonly TimeSpan SkewMax = TimeSpan.FromMinutes(15);

    /// <summary>What is wrong with it; null: nothing.</summary>
    internal static (int Status, string Code)? FindFault(FakeS3 fake, HttpRequest request, string target, byte[] body)
    {
        if (request.Query.ContainsKey("X-Amz-Signature"))
        {
            return FindFaultOfAddress(fake, request, target);
        }

        var authorization = request.Headers.Authorization.ToString();
        if (!authorization.StartsWith(Algorithm + " ", StringComparison.Ordinal))
        {
            return (403, "AccessDenied");
        }

        var parts = authorization[(Algorithm.Length + 1)..].Split(',', StringSplitOptions.TrimEntries).Select(part => part.Split('=', 2)).ToDictionary(part => part[0], part => part[1]);
        var scope = parts["Credential"].Split('/', 2);
        if (scope[0] != fake.AccessKey)
        {
            return (403, "InvalidAccessKeyId");
        }

        var at = request.Headers["X-Amz-Date"].ToString();
        var signedAt = DateTimeOffset.ParseExact(at, "yyyyMMddTHHmmssZ", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        if ((fake.Time.GetUtcNow() - signedAt).Duration() > SkewMax)
        {
            return (403, "RequestTimeTooSkewed");
        }

        var payload = request.Headers["X-Amz-Content-SHA256"].ToString();
        if (payload.StartsWith("STREAMING-", StringComparison.Ordinal) || request.Headers.ContentEncoding == "aws-chunked")
        {
            // Amazon undoes the frames; simple servers store them.
            return (501, "NotImplemented");
        }

        if (payload != "UNSIGNED-PAYLOAD" && payload != Hex(SHA256.HashData(body)))
        {
            return (400, "XAmzContentSHA256Mismatch");
        }

        return Sign(fake, request, target, parts["SignedHeaders"], payload, at, scope[1]) == parts["Signature"] ? null : (403, "SignatureDoesNotMatch");
    }

    /// <summary>An address that was signed for somebody else.</summary>
    private static (int Status, string Code)? FindFaultOfAddress(FakeS3 fake, HttpRequest request, string target)
    {
        var query = request.Query;
        var scope = query["X-Amz-Credential"].ToString().Split('/', 2);
        var at = query["X-Amz-Date"].ToString();
        var endsAt = DateTimeOffset.ParseExact(at, "yyyyMMddTHHmmssZ", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal).AddSeconds(int.Parse(query["X-Amz-Expires"].ToString(), CultureInfo.InvariantCulture));
        if (scope[0] != fake.AccessKey || fake.Time.GetUtcNow() > endsAt)
        {
            return (403, "AccessDenied");
        }

        var question = target.IndexOf('?', StringComparison.Ordinal);
        var unsigned = target[..(question + 1)] + string.Join('&', target[(question + 1)..].Split('&').Where(pair => !pair.StartsWith("X-Amz-Signature=", StringComparison.Ordinal)));
        return Sign(fake, request, unsigned, query["X-Amz-SignedHeaders"].ToString(), "UNSIGNED-PAYLOAD", at, scope[1]) == query["X-Amz-Signature"].ToString() ? null : (403, "SignatureDoesNotMatch");
    }

    private static string Sign(FakeS3 fake, HttpRequest request, string target, string signed, string payload, string at, string scope)
    {
        var question = target.IndexOf('?', StringComparison.Ordinal);
        IEnumerable<string> query = question < 0 ? [] : target[(question + 1)..].Split('&').Select(pair => pair.Contains('=', StringComparison.Ordinal) ? pair : pair + "=").Order(StringComparer.Ordinal);
        var canonical = new StringBuilder().Append(request.Method).Append('\n').Append(question < 0 ? target : target[..question]).Append('\n').AppendJoin('&', query).Append('\n');
        foreach (var name in signed.Split(';'))
        {
            canonical.Append(name).Append(':').Append(request.Headers[name].ToString().Trim()).Append('\n');
        }

        canonical.Append('\n').Append(signed).Append('\n').Append(payload);
        var text = $"{Algorithm}\n{at}\n{scope}\n{Hex(SHA256.HashData(Encoding.UTF8.GetBytes(canonical.ToString())))}";
        var key = scope.Split('/').Aggregate(Encoding.UTF8.GetBytes("AWS4" + fake.SecretKey), (key, word) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(word)));
        return Hex(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text)));
    }

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
}
