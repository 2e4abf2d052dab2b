using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Connections;
using RazorSlices;

namespace NpmMirror.Page;

/// <summary>Sends a page, with the headers that keep a browser from doing anything but showing it.</summary>
internal sealed class PageWriter(TimeProvider time)
{
    // No inline script or style, nothing from elsewhere. Forms go to the page itself. Pictures are the empty icon alone.
    private const string Policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

    // Letters of all writings stay as they are.
    private static readonly HtmlEncoder Encoder = HtmlEncoder.Create(UnicodeRanges.All);

    internal async Task WriteAsync(HttpContext context, RazorSlice page)
    {
        using var text = new StringWriter();
        using (page)
        {
            await page.RenderAsync(text, Encoder, context.RequestAborted);
        }

        var body = Encoding.UTF8.GetBytes(text.ToString());
        var headers = context.Response.Headers;
        headers.ContentType = "text/html; charset=utf-8";
        headers.ContentLength = body.Length;
        headers.CacheControl = "no-cache";
        headers.Vary = "Accept";
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "same-origin";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()";
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await PatientWriter.Of(context, time).WriteAsync(body, context.RequestAborted);
        }
    }
}
