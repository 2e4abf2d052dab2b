using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Registry;

namespace NpmMirror.AspNetCore;

/// <summary>
/// Every request to the mirror ends here. One that came before in the same words is answered from what was prepared then; the others
/// are parsed, matched and handed to their endpoint, and what fails there becomes an answer in one place.
/// </summary>
internal sealed partial class RegistryEndpoints(
    RouteParser routes,
    PublicAddresses addresses,
    HotRequests hot,
    RenditionCache cache,
    PackumentEndpoint packuments,
    Func<HttpContext, PackageName, string, Task> tarballs,
    ILogger<RegistryEndpoints> logger)
{
    private const string ReadOnly = "This registry is a read-only mirror; publish, log in and change tags at the registry it mirrors.";

    /// <summary>Answers one request.</summary>
    internal Task HandleAsync(HttpContext context)
    {
        var request = context.Features.GetRequiredFeature<IHttpRequestFeature>();
        var headers = request.Headers;
        var accept = headers.Accept;
        var codings = headers.AcceptEncoding;
        var key = new RequestKey(request.RawTarget, addresses.OriginOf(context, request), Text(accept), Text(codings));
        var isGet = HttpMethods.IsGet(request.Method);
        if ((isGet || HttpMethods.IsHead(request.Method)) && hot.Find(key) is { } rendition && cache.IsFresh(rendition.Package))
        {
            if (RenditionAnswer.IsNotModified(headers, rendition))
            {
                RenditionAnswer.WriteNotModified(context, rendition);
                return Task.CompletedTask;
            }

            if (rendition.Body is { } body)
            {
                rendition.Touch();
                return RenditionAnswer.WriteAsync(context, rendition, body, !isGet);
            }
        }

        return GuardAsync(context, request, key);
    }

    private static string Text(Microsoft.Extensions.Primitives.StringValues values) => values.Count == 1 ? values[0] ?? "" : values.ToString();

    private async Task GuardAsync(HttpContext context, IHttpRequestFeature request, RequestKey key)
    {
        try
        {
            await DispatchAsync(context, request, key);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client left; nobody reads an answer.
        }
        catch (MirrorException e)
        {
            LogFailure(key.Target, e.Message);
            if (context.Response.HasStarted)
            {
                // A half-written answer must not look whole.
                context.Abort();
                return;
            }

            context.Response.Clear();
            await RegistryErrors.WriteAsync(context, e);
        }
    }

    private Task DispatchAsync(HttpContext context, IHttpRequestFeature request, RequestKey key)
    {
        var route = routes.Parse(key.Target, out var mount);
        if (route is RegistryRoute.Malformed malformed)
        {
            return RegistryErrors.WriteAsync(context, malformed.Status, malformed.Reason);
        }

        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
        {
            return WriteNotAllowed(context);
        }

        if (mount is null)
        {
            return RegistryErrors.WriteAsync(context, StatusCodes.Status404NotFound, "Not found.");
        }

        if (addresses.Find(context, key.Origin, mount) is not { } baseUrl)
        {
            return RegistryErrors.WriteAsync(context, StatusCodes.Status421MisdirectedRequest, PublicAddresses.Refusal(key.Origin));
        }

        return route switch
        {
            RegistryRoute.Packument packument => packuments.HandleAsync(context, key, packument.Package, baseUrl),
            RegistryRoute.Manifest manifest => packuments.HandleManifestAsync(context, key, manifest.Package, manifest.VersionOrTag, baseUrl),
            RegistryRoute.Tarball tarball => tarballs(context, tarball.Package, tarball.File),
            RegistryRoute.Ping => RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, "{}"u8.ToArray()),
            RegistryRoute.NotFound notFound => RegistryErrors.WriteAsync(context, StatusCodes.Status404NotFound, notFound.Reason),
            _ => RegistryErrors.WriteAsync(context, StatusCodes.Status404NotFound, "Not found."),
        };
    }

    private static Task WriteNotAllowed(HttpContext context)
    {
        context.Response.Headers.Allow = "GET, HEAD";
        return RegistryErrors.WriteAsync(context, StatusCodes.Status405MethodNotAllowed, ReadOnly);
    }

    [LoggerMessage(EventIds.AspNetCore + 1, LogLevel.Debug, "{Target} failed: {Reason}")]
    private partial void LogFailure(string target, string reason);
}
