using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore;

/// <summary>
/// Answers what only the registry knows, search and audits, by asking it. Without it the answer is 503: an empty one would say
/// "nothing found" or, worse, "nothing vulnerable".
/// </summary>
internal sealed class ForwardingEndpoint(RegistryClient client, TimeProvider time)
{
    internal const string BulkPath = "/-/npm/v1/security/advisories/bulk";

    /// <summary>A lockfile of 100,000 packages names them in fewer bytes than this.</summary>
    internal const int AuditMaxBytes = 16 * 1024 * 1024;

    private const string RetiredMessage = "This endpoint is being retired. Use the bulk advisory endpoint instead.";

    // Every install waits for its audit: better none than a late one.
    private static readonly TimeSpan AuditTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan SearchTimeout = TimeSpan.FromSeconds(20);

    /// <summary>Answers <c>{m}/-/v1/search</c>.</summary>
    internal async Task SearchAsync(HttpContext context)
    {
        var answer = await UpstreamAnswer.AskAsync(client, HttpMethod.Get, "/-/v1/search" + context.Request.QueryString.Value, null, SearchTimeout, time, context.RequestAborted);
        await RegistryErrors.WriteJsonAsync(context, answer.Status, answer.Body);
    }

    /// <summary>Answers <c>POST {m}/-/npm/v1/security/advisories/bulk</c>.</summary>
    internal async Task AuditAsync(HttpContext context)
    {
        if (await ReadAuditAsync(context) is not { } body)
        {
            return;
        }

        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        var answer = await UpstreamAnswer.AskAsync(client, HttpMethod.Post, BulkPath, content, AuditTimeout, time, context.RequestAborted);
        await RegistryErrors.WriteJsonAsync(context, answer.Status, answer.Body);
    }

    /// <summary>Answers the audits of older clients as the registry itself does by now.</summary>
    internal static Task RetiredAsync(HttpContext context) => RegistryErrors.WriteAsync(context, StatusCodes.Status410Gone, RetiredMessage);

    /// <summary>The plain JSON of the request; null when it was answered already.</summary>
    private static async Task<byte[]?> ReadAuditAsync(HttpContext context)
    {
        var request = context.Request;
        var codings = BodyCodings.Parse(request.Headers.ContentEncoding);
        if (codings.Problem is not null)
        {
            context.Response.Headers.AcceptEncoding = "gzip";
            await RegistryErrors.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "The body's Content-Encoding is not understood; send it plain or with gzip.");
            return null;
        }

        try
        {
            // The limit is on what comes out: a small body can be a large bomb.
            await using var plain = codings.TakeOff(request.Body);
            var body = await BoundedBody.ReadAsync(plain, AuditMaxBytes, context.RequestAborted);
            if (body is null)
            {
                await RegistryErrors.WriteAsync(context, StatusCodes.Status413PayloadTooLarge, $"The body is longer than {AuditMaxBytes} bytes; audit fewer packages at once.");
            }

            return body;
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status400BadRequest, "The body is not what its Content-Encoding promises, or was cut.");
            return null;
        }
    }
}
