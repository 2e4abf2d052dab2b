using System.Text;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Operations;

/// <summary>Answers requests outside every mount: a page that gives the registry's address, as HTML for people and JSON for programs.</summary>
internal sealed class HomeEndpoint(PublicAddresses addresses, IReadOnlyList<string> mounts)
{
    internal async Task HomeAsync(HttpContext context, Origin origin)
    {
        if (RegistryAt(context, origin) is not { } registry)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status421MisdirectedRequest, PublicAddresses.Refusal(origin));
            return;
        }

        if (!context.Request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase))
        {
            await RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, (byte[])[.. "{\"registry\":"u8, .. WireJson.Text(registry + "/"), .. "}"u8]);
            return;
        }

        var shown = HtmlEncoder.Default.Encode(registry);
        var page = Encoding.UTF8.GetBytes($"""
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <title>npm-mirror</title>
            <h1>npm-mirror</h1>
            <p>A read-only mirror of an npm registry, at <a href="{shown}/">{shown}/</a>.</p>
            <pre>npm config set registry {shown}/</pre>
            </html>

            """);
        var headers = context.Response.Headers;
        headers.ContentType = "text/html; charset=utf-8";
        headers.ContentLength = page.Length;
        headers.CacheControl = "no-cache";
        headers.Vary = CommonHeaders.Vary;
        headers.ContentSecurityPolicy = "default-src 'none'";
        headers.XContentTypeOptions = "nosniff";
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.BodyWriter.WriteAsync(page, context.RequestAborted);
        }
    }

    /// <summary>A package was asked for beside the mount: the client's registry address is wrong, so the answer gives the right one.</summary>
    internal Task OutsideAsync(HttpContext context, Origin origin) => RegistryErrors.WriteAsync(
        context,
        StatusCodes.Status404NotFound,
        $"Nothing is here: the registry is at {RegistryAt(context, origin) ?? mounts[0]}/; set that as the client's registry.");

    internal static Task PingAsync(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.ContentType = "text/plain; charset=utf-8";
        headers.ContentLength = 4;
        headers.CacheControl = "no-cache";
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.BodyWriter.WriteAsync("pong"u8.ToArray(), context.RequestAborted).AsTask();
    }

    private string? RegistryAt(HttpContext context, Origin origin) => addresses.Find(context, origin, mounts[0].TrimEnd('/'));
}
