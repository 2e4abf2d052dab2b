using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>
/// The form of failures on the wire: <c>{"error": "problem, subject, what to do", "reason": …}</c>. Every npm client prints <c>error</c>; CouchDB's
/// clients print <c>reason</c>, so that the same sentence is in both.
/// </summary>
internal static class RegistryErrors
{
    /// <summary>The wait advised if the failure names none: clients multiply it themselves.</summary>
    private static readonly TimeSpan DefaultRetryAfter = TimeSpan.FromSeconds(5);

    /// <summary>Answers with an error.</summary>
    internal static Task WriteAsync(HttpContext context, int status, string message, TimeSpan? retryAfter = null)
    {
        var headers = context.Response.Headers;
        if (retryAfter is { } wait)
        {
            headers.RetryAfter = Seconds(wait);
        }

        return WriteJsonAsync(context, status, BodyOf(message));
    }

    /// <summary>The body of an error.</summary>
    internal static byte[] BodyOf(string message)
    {
        var text = WireJson.Text(message);
        return [.. "{\"error\":"u8, .. text, .. ",\"reason\":"u8, .. text, .. "}"u8];
    }

    /// <summary>Answers that a package is not there. Of one that was removed it says how and when in a member of its own, for mirrors that follow this one.</summary>
    internal static Task WriteAsync(HttpContext context, ReadAnswer.Absent absent)
    {
        if (absent.Removed is not { Facts: { Removal: { } kind } facts } row)
        {
            return WriteAsync(context, absent.Status, absent.Reason);
        }

        var body = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(body, WireJson.Written))
        {
            json.WriteStartObject();
            json.WritePropertyName("error"u8);
            json.WriteRawValue(WireJson.Text(absent.Reason));
            json.WritePropertyName("reason"u8);
            json.WriteRawValue(WireJson.Text(absent.Reason));
            new RemovalNotice(kind.ToString(), facts.RemovalReason, facts.ModifiedAt, ServedRevision.Of(row)).WriteTo(json);
            json.WriteEndObject();
        }

        return WriteJsonAsync(context, absent.Status, body.WrittenMemory);
    }

    /// <summary>
    /// Answers with the meaning of a failure for a client: 502 for an upstream that sends invalid answers, 503 for one that is away,
    /// with a time to come back. Never 404, which would be believed, nor 429, at which some clients give up. A final refusal of the upstream is passed on
    /// to the client with the same status: after a 502 npm would ask for a minute.
    /// </summary>
    internal static Task WriteAsync(HttpContext context, MirrorException failure) => failure.RefusedStatus is { } refused ? WriteAsync(context, refused, failure.Message) : failure.Fault switch
    {
        MirrorFault.BadInput => WriteAsync(context, StatusCodes.Status400BadRequest, failure.Message),
        // The only configuration fault that a request can find is a loop of mirrors: each of them passes it on.
        MirrorFault.Configuration => WriteAsync(context, StatusCodes.Status508LoopDetected, failure.Message),
        MirrorFault.UpstreamMalformed or MirrorFault.UpstreamRefused or MirrorFault.TooLarge or MirrorFault.ForbiddenSource
            => WriteAsync(context, StatusCodes.Status502BadGateway, failure.Message, failure.RetryAfter ?? DefaultRetryAfter),
        _ => WriteAsync(context, StatusCodes.Status503ServiceUnavailable, failure.Message, failure.RetryAfter ?? DefaultRetryAfter),
    };

    /// <summary>The <c>Retry-After</c> header that goes with a failure.</summary>
    internal static string RetryAfterOf(MirrorException failure) => Seconds(failure.RetryAfter ?? DefaultRetryAfter);

    /// <summary>Answers with JSON that no client may keep.</summary>
    internal static async Task WriteJsonAsync(HttpContext context, int status, ReadOnlyMemory<byte> json)
    {
        BeginJson(context.Response, status, json.Length);
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.BodyWriter.WriteAsync(json, context.RequestAborted);
        }
    }

    /// <summary>The head of an answer of so many bytes of JSON.</summary>
    internal static void BeginJson(HttpResponse response, int status, int lengthBytes)
    {
        response.StatusCode = status;
        var headers = response.Headers;
        headers.ContentType = "application/json";
        headers.ContentLength = lengthBytes;
        headers.CacheControl = "no-cache";
        headers.Vary = CommonHeaders.Vary;
    }

    // At least one second: zero makes clients come back in a loop.
    private static string Seconds(TimeSpan wait) => Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
}

/// <summary>Header values that many answers share.</summary>
internal static class CommonHeaders
{
    internal const string Vary = "Accept, Accept-Encoding";
    internal const string PackumentCacheControl = "public, max-age=300";
}
