using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.AspNetCore.Feeds;
using NpmMirror.AspNetCore.Forwarding;
using NpmMirror.AspNetCore.Operations;
using NpmMirror.AspNetCore.Pages;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Diagnostics;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore;

/// <summary>
/// Every request to the mirror ends here. A repeated one is answered from the prepared answer; the others
/// are parsed, matched and handed to their endpoint, and failures there become answers in one place.
/// </summary>
internal sealed partial class RegistryEndpoints(EndpointSet endpoints, RouteParser routes, PublicAddresses addresses, AnswerMemory memory, MirrorInstance instance, CrossOriginPolicy crossOrigin, AnswerMetrics metrics, ClientCounts? clients, TimeProvider time, ILogger logger)
{
    private const string ReadOnly = "This registry is a read-only mirror; publish, log in and change tags at the registry it mirrors.";

    private static readonly CrossOriginPolicy NotShared = new(isAllowed: false);

    private readonly ILogger _logger = logger;

    /// <summary>The paths that are answered beside the mounts.</summary>
    internal static IReadOnlyList<string> OperationsPaths { get; } = ["/", "/health/live", "/health/ready", "/metrics", "/api/ping"];

    /// <summary>The paths of the page, beside its root.</summary>
    internal static IReadOnlyList<string> PagePaths { get; } = ["/setup", "/packages", "/package/{**rest}", "/assets/{file}", "/api/mirrors", "/api/sse", "/api/events", "/retry"];

    /// <summary>Answers one request, and lets the limit on connections know of it.</summary>
    /// <param name="context">The request.</param>
    /// <param name="prefix">The path that comes before the mounts: of the branch or the group that the registry was mapped in.</param>
    internal Task HandleAsync(HttpContext context, string prefix = "")
    {
        if (context.Features.Get<ClientConnection>() is not { } client)
        {
            return AnswerAsync(context, prefix);
        }

        client.Begin();
        var answering = AnswerAsync(context, prefix);
        if (!answering.IsCompletedSuccessfully)
        {
            return EndAsync(answering, client);
        }

        client.End();
        return answering;
    }

    private static async Task EndAsync(Task answering, ClientConnection client)
    {
        try
        {
            await answering;
        }
        finally
        {
            client.End();
        }
    }

    private Task AnswerAsync(HttpContext context, string prefix)
    {
        var begunAt = metrics.Now();
        var request = context.Features.GetRequiredFeature<IHttpRequestFeature>();
        var headers = request.Headers;
        var origin = addresses.OriginOf(context, request);
        origin = prefix.Length == 0 ? origin : origin with { Prefix = origin.Prefix + prefix };
        var key = new RequestKey(request.RawTarget, origin, Text(headers.Accept), Text(headers.AcceptEncoding));
        var isGet = HttpMethods.IsGet(request.Method);
        // A request through other mirrors may be a loop, which is checked first.
        if ((isGet || HttpMethods.IsHead(request.Method)) && !headers.ContainsKey(MirrorChain.Header) && memory.Find(key) is { } rendition && endpoints.Packages.IsCurrent(rendition.Package))
        {
            crossOrigin.Write(context.Response.Headers);
            if (RenditionAnswer.IsNotModified(headers, rendition))
            {
                RenditionAnswer.WriteNotModified(context, rendition);
                metrics.Count(RememberedRendition.RouteOf(rendition), StatusCodes.Status304NotModified, 0, begunAt);
                return Task.CompletedTask;
            }

            if (rendition.Body is { } body)
            {
                rendition.Touch();
                var writing = RenditionAnswer.WriteAsync(context, rendition, body, isHead: !isGet, time);
                if (!writing.IsCompletedSuccessfully)
                {
                    return EndAsync(writing, context, RememberedRendition.RouteOf(rendition), begunAt);
                }

                metrics.Count(RememberedRendition.RouteOf(rendition), StatusCodes.Status200OK, isGet ? body.Length : 0, begunAt);
                return Task.CompletedTask;
            }
        }

        var route = routes.Parse(key.Target, prefix, out var mount);
        return GuardAsync(context, request.Method, key, route, mount, begunAt);
    }

    private async Task EndAsync(Task answering, HttpContext context, string route, long begunAt)
    {
        try
        {
            await answering;
        }
        finally
        {
            metrics.Count(context, route, begunAt);
        }
    }

    private static string Text(StringValues values) => values.Count == 1 ? values[0] ?? "" : values.ToString();

    private async Task GuardAsync(HttpContext context, string method, RequestKey key, RegistryRoute route, string? mount, long begunAt)
    {
        try
        {
            await DispatchAsync(context, method, key, route, mount);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client left; it does not read an answer.
        }
        catch (Exception e) when (e is MirrorException or ObjectDisposedException)
        {
            LogFailure(key.Target, e.Message);
            if (context.Response.HasStarted || context.Response.BodyWriter.UnflushedBytes > 0)
            {
                // A half-written answer must not look whole.
                context.Abort();
                return;
            }

            var isShared = context.Response.Headers.AccessControlAllowOrigin.Count > 0;
            context.Response.Clear();
            if (isShared)
            {
                crossOrigin.Write(context.Response.Headers);
            }

            var failure = e as MirrorException ?? new MirrorException(MirrorFault.StoreUnavailable, "This mirror is shutting down; ask again.", isTransient: true, inner: e);
            await RegistryErrors.WriteAsync(context, failure);
        }
        finally
        {
            metrics.Count(context, route.Pattern, begunAt);
            clients?.Count(context, route);
        }
    }

    private async Task DispatchAsync(HttpContext context, string method, RequestKey key, RegistryRoute route, string? mount)
    {
        if (route is RegistryRoute.Malformed malformed)
        {
            await RegistryErrors.WriteAsync(context, malformed.Status, malformed.Reason);
            return;
        }

        if (context.Request.Headers.TryGetValue(MirrorChain.Header, out var ids))
        {
            var chain = MirrorChain.Parse(ids.ToString());
            if (chain.IsTooLong || await instance.IsInAsync(chain, context.RequestAborted))
            {
                await RegistryErrors.WriteAsync(context, StatusCodes.Status508LoopDetected, "This mirror's own request came back to it, or went through too many mirrors; its option upstream leads back to it, perhaps through other mirrors.");
                return;
            }

            MirrorChain.Current = chain;
        }

        var isShared = mount is not null && !route.IsOperations;
        var methods = route.Methods switch { RouteMethods.Ask => "POST", RouteMethods.ReadOrAsk => "GET, HEAD, POST", _ => "GET, HEAD" };
        if (HttpMethods.IsOptions(method) && route is not (RegistryRoute.NotFound or RegistryRoute.Publishing))
        {
            await (isShared ? crossOrigin : NotShared).AnswerOptionsAsync(context, methods);
            return;
        }

        if (isShared)
        {
            crossOrigin.Write(context.Response.Headers);
        }

        if (!IsAllowed(method, route.Methods))
        {
            if (route is RegistryRoute.Login && HttpMethods.IsPost(method))
            {
                // After a 4xx npm asks for a name and a password and sends them; a 501 ends it at once.
                await RegistryErrors.WriteAsync(context, StatusCodes.Status501NotImplemented, ReadOnly);
                return;
            }

            context.Response.Headers.Allow = methods;
            await RegistryErrors.WriteAsync(context, StatusCodes.Status405MethodNotAllowed, ReadOnly);
            return;
        }

        await (mount is null || route.IsOperations ? OutsideAsync(context, route, key)
            : addresses.Find(context, key.Origin, mount) is { } baseUrl ? InMountAsync(context, route, key, mount, baseUrl)
            : RegistryErrors.WriteAsync(context, StatusCodes.Status421MisdirectedRequest, PublicAddresses.Refusal(key.Origin)));
    }

    private static bool IsAllowed(string method, RouteMethods methods) =>
        HttpMethods.IsPost(method) ? methods != RouteMethods.Read : methods != RouteMethods.Ask && (HttpMethods.IsGet(method) || HttpMethods.IsHead(method));

    private Task OutsideAsync(HttpContext context, RegistryRoute route, RequestKey key) => route switch
    {
        RegistryRoute.Home => endpoints.Page.HomeAsync(context, key.Origin, key.Target),
        RegistryRoute.Page page => endpoints.Page.HandleAsync(context, page.Path, key.Origin, key.Target),
        RegistryRoute.PageForm form => endpoints.Page.HandleAsync(context, form.Path, key.Origin, key.Target),
        RegistryRoute.Live => HealthEndpoint.LiveAsync(context),
        RegistryRoute.Ready => endpoints.Health.ReadyAsync(context),
        RegistryRoute.Metrics => endpoints.Metrics.HandleAsync(context),
        RegistryRoute.ApiPing => HomeEndpoint.PingAsync(context),
        _ => endpoints.Home.OutsideAsync(context, key.Origin),
    };

    private Task InMountAsync(HttpContext context, RegistryRoute route, RequestKey key, string mount, string baseUrl) => route switch
    {
        RegistryRoute.Packument packument when RefreshEndpoint.IsAsked(context) => endpoints.Refresh.HandleAsync(context, packument.Package),
        RegistryRoute.Packument packument when ReplicationEndpoint.IsAsked(context) => endpoints.Replication.OpenRevsAsync(context, packument.Package, baseUrl),
        RegistryRoute.Packument packument => endpoints.Packuments.HandleAsync(context, key, packument.Package, baseUrl),
        RegistryRoute.PageOrDash when endpoints.Page.IsForPage(context) => endpoints.Page.HandleAsync(context, [], key.Origin, key.Target),
        RegistryRoute.PageOrDash dash => endpoints.Packuments.HandleAsync(context, key, dash.Dash, baseUrl),
        RegistryRoute.Manifest manifest => endpoints.Packuments.HandleManifestAsync(context, key, manifest.Package, manifest.VersionOrTag, baseUrl),
        RegistryRoute.Tarball tarball => endpoints.Tarballs(context, key, tarball.Package, tarball.File),
        RegistryRoute.DistTags tags => endpoints.DistTags.HandleAsync(context, tags.Package),
        RegistryRoute.Ping => RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, "{}"u8.ToArray()),
        RegistryRoute.Account => RegistryErrors.WriteAsync(context, StatusCodes.Status401Unauthorized, "This registry is a read-only mirror and knows no accounts."),
        RegistryRoute.Search => endpoints.Search.HandleAsync(context),
        RegistryRoute.Advisories => endpoints.Forwarding.AuditAsync(context),
        RegistryRoute.RetiredAudit => ForwardingEndpoint.RetiredAsync(context),
        RegistryRoute.Keys => endpoints.Kept.KeysAsync(context),
        RegistryRoute.Attestations attestations => endpoints.Kept.AttestationsAsync(context, attestations.Package, attestations.Version),
        RegistryRoute.Info => endpoints.Info.InfoAsync(context, mount),
        RegistryRoute.LogHead => endpoints.Info.LogHeadAsync(context),
        RegistryRoute.LogAt at => endpoints.Info.LogAtAsync(context, new LogPosition(at.Position)),
        RegistryRoute.Changes => endpoints.Changes.HandleAsync(context, baseUrl),
        RegistryRoute.Events => endpoints.Events.HandleAsync(context),
        RegistryRoute.BulkGet => endpoints.Replication.BulkGetAsync(context, baseUrl),
        RegistryRoute.AllDocs => endpoints.AllDocs.HandleAsync(context, baseUrl),
        RegistryRoute.All => endpoints.All.HandleAsync(context),
        RegistryRoute.Publishing or RegistryRoute.Login => RegistryErrors.WriteAsync(context, StatusCodes.Status404NotFound, ReadOnly),
        RegistryRoute.NotFound notFound => RegistryErrors.WriteAsync(context, StatusCodes.Status404NotFound, notFound.Reason),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    [LoggerMessage(EventIds.AspNetCore + 1, LogLevel.Debug, "{Target} failed: {Reason}")]
    private partial void LogFailure(string target, string reason);
}
