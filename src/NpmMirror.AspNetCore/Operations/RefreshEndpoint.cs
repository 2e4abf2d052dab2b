using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Syncing;

namespace NpmMirror.AspNetCore.Operations;

/// <summary>Answers <c>{m}/{pkg}?refresh=1</c>: fetches now, for an administrator.</summary>
internal sealed class RefreshEndpoint(Func<PackageName, CancellationToken, Task<SyncResult>> refresh, Func<PackageName, CancellationToken, Task<int>> replaceUnpromised, AdminAccess admin)
{
    /// <summary>True if the request asks for a refresh, or has another value under that name.</summary>
    internal static bool IsAsked(HttpContext context) =>
        context.Request.QueryString.HasValue && HttpMethods.IsGet(context.Request.Method) && context.Request.Query.TryGetValue("refresh", out var asked)
        && asked.ToString() is not ("0" or "false");

    internal async Task HandleAsync(HttpContext context, PackageName name)
    {
        if (context.Request.Query["refresh"].ToString() is var asked and not ("" or "1" or "true"))
        {
            await WriteAsync(context, StatusCodes.Status400BadRequest, "KO", $"refresh is 1 or nothing (fetch now), or 0 (do not); {MirrorException.Quote(asked)} is neither.");
            return;
        }

        if (admin.Refusal(context) is { } refusal)
        {
            await WriteAsync(context, StatusCodes.Status403Forbidden, "KO", refusal);
            return;
        }

        try
        {
            var result = await refresh(name, context.RequestAborted);
            // Tarballs that the packument names by a hash cannot change; only the upstream knows about the others.
            var replaced = result is SyncResult.Stored or SyncResult.Unchanged { Row.Facts.IsRemoved: false } ? await replaceUnpromised(name, context.RequestAborted) : 0;
            await AnswerAsync(context, result, replaced);
        }
        catch (MirrorException e)
        {
            var status = e.Fault is MirrorFault.UpstreamMalformed or MirrorFault.UpstreamRefused or MirrorFault.TooLarge
                ? StatusCodes.Status502BadGateway
                : StatusCodes.Status503ServiceUnavailable;
            context.Response.Headers.RetryAfter = RegistryErrors.RetryAfterOf(e);
            await WriteAsync(context, status, "KO", e.Message);
        }
    }

    private static Task AnswerAsync(HttpContext context, SyncResult result, int replaced) => result switch
    {
        { RetryBecause: { } reason } => WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "KO", reason),
        SyncResult.Absent absent => WriteAsync(context, absent.Status is 451 ? 451 : 404, "KO", absent.Reason ?? "The upstream has no such package."),
        SyncResult.Removed => WriteAsync(context, StatusCodes.Status200OK, "OK", "Package removed"),
        SyncResult.Unchanged { Row.Facts.IsRemoved: true } => WriteAsync(context, StatusCodes.Status200OK, "OK", "Package unchanged: it was removed before"),
        _ when replaced > 0 => WriteAsync(context, StatusCodes.Status200OK, "OK", $"Package updated: the upstream sends other bytes of {replaced} tarballs that it names by no hash"),
        SyncResult.Unchanged => WriteAsync(context, StatusCodes.Status200OK, "OK", "Package unchanged"),
        _ => WriteAsync(context, StatusCodes.Status200OK, "OK", "Package updated"),
    };

    private static Task WriteAsync(HttpContext context, int status, string word, string message) =>
        RegistryErrors.WriteJsonAsync(context, status, (byte[])[.. "{\"status\":"u8, .. WireJson.Text(word), .. ",\"message\":"u8, .. WireJson.Text(message), .. "}"u8]);
}
