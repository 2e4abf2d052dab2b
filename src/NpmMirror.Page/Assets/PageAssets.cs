using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;

namespace NpmMirror.Page.Assets;

/// <summary>The page's stylesheet and script. Their names hold a hash of their bytes: browsers keep them for ever, and a new program has new names.</summary>
internal static class PageAssets
{
    private static readonly Asset Style = Read("page.css", "text/css; charset=utf-8");
    private static readonly Asset Script = Read("page.js", "text/javascript; charset=utf-8");

    /// <summary>The stylesheet's path below the page's root.</summary>
    internal static string StylePath => "assets/" + Style.Name;

    /// <summary>The script's path below the page's root.</summary>
    internal static string ScriptPath => "assets/" + Script.Name;

    /// <summary>Answers the request for a file; false if there is none of that name.</summary>
    internal static async Task<bool> TryWriteAsync(HttpContext context, string name)
    {
        var asset = name == Style.Name ? Style : name == Script.Name ? Script : null;
        if (asset is null)
        {
            return false;
        }

        var headers = context.Response.Headers;
        headers.CacheControl = "public, max-age=31536000, immutable";
        headers.ETag = asset.Tag;
        headers.XContentTypeOptions = "nosniff";
        if (EntityTags.Names(context.Request.Headers.IfNoneMatch.ToString(), asset.Tag))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return true;
        }

        headers.ContentType = asset.ContentType;
        headers.ContentLength = asset.Bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.BodyWriter.WriteAsync(asset.Bytes, context.RequestAborted);
        }

        return true;
    }

    private static Asset Read(string name, string contentType)
    {
        using var stream = typeof(PageAssets).Assembly.GetManifestResourceStream(name) ?? throw new InvalidOperationException($"{name} is not part of this assembly.");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        var hash = Convert.ToHexStringLower(SHA256.HashData(bytes))[..16];
        return new Asset($"{Path.GetFileNameWithoutExtension(name)}.{hash}{Path.GetExtension(name)}", contentType, bytes, $"\"{hash}\"");
    }

    private sealed record Asset(string Name, string ContentType, byte[] Bytes, string Tag);
}
