using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Options;

namespace NpmMirror.AspNetCore.Forwarding;

/// <summary>
/// Answers audits, which only the registry can answer, by asking it. Without it the answer is 503: an empty one would say "nothing vulnerable".
/// </summary>
internal sealed class ForwardingEndpoint(Forwarder forwarder, MirrorOptions options, ByteBudget budget, TimeProvider time)
{
    internal const string BulkPath = "/-/npm/v1/security/advisories/bulk";

    private const string RetiredMessage = "This endpoint is being retired. Use the bulk advisory endpoint instead.";

    // npm waits for its audit at the end of each install: better none than a late one.
    private static readonly TimeSpan InstallAuditTimeout = TimeSpan.FromSeconds(3);

    /// <summary>Answers <c>POST {m}/-/npm/v1/security/advisories/bulk</c>.</summary>
    internal async Task AuditAsync(HttpContext context)
    {
        using var body = await AuditBody.ReadAsync(context, budget, options.AuditTimeout, time);
        if (body is null)
        {
            return;
        }

        using var content = new ReadOnlyMemoryContent(body.Document.BytesMemory);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        if (body.IsGzip)
        {
            content.Headers.ContentEncoding.Add("gzip");
        }

        var isInstall = IsOfInstall(context.Request);
        var timeout = isInstall && options.AuditTimeout > InstallAuditTimeout ? InstallAuditTimeout : options.AuditTimeout;
        using var answer = await forwarder.AskAsync(isInstall ? ForwardedService.InstallAudit : ForwardedService.Audit, HttpMethod.Post, BulkPath, content, timeout, context.RequestAborted);
        await answer.WriteAsync(context, time);
    }

    /// <summary>Answers the audits of older clients as the registry itself does by now.</summary>
    internal static Task RetiredAsync(HttpContext context) => RegistryErrors.WriteAsync(context, StatusCodes.Status410Gone, RetiredMessage);

    /// <summary>npm names its command in each request; <c>install</c>, <c>ci</c>, <c>update</c> and others audit by themselves. Other clients audit only when they are told to.</summary>
    private static bool IsOfInstall(HttpRequest request) => request.Headers["npm-command"].ToString() is { Length: > 0 } command && command != "audit";
}
