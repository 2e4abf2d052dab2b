using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.AspNetCore.Shortcut;
using NpmMirror.Options;

namespace NpmMirror.AspNetCore;

/// <summary>Serves a mirror from an ASP.NET Core application.</summary>
public static class NpmRegistryExtensions
{
    /// <summary>The application's own endpoints have 0, its fallbacks the largest number.</summary>
    private const int AfterTheApplications = 1000;

    // Two registries at one place would both answer for its front page, health and metrics.
    private static readonly ConditionalWeakTable<IEndpointRouteBuilder, object> Mapped = [];

    /// <summary>
    /// Maps the registry protocol under the mounts (default: <see cref="MirrorOptions.Mount"/>), and health, metrics and a front page beside them. Other
    /// endpoints of the application live beside it: one with the same pattern as the front page, health or metrics takes its place. In a group
    /// (<c>MapGroup</c>) or a branch (<c>Map</c>) the path of the group or branch comes first.
    /// </summary>
    /// <param name="endpoints">The application, a group or a branch; the services hold the mirror.</param>
    /// <param name="mounts">Paths like <c>/npm</c> or <c>/</c>.</param>
    /// <returns>Its settings (authorization, limits, names) count for all of these endpoints.</returns>
    public static IEndpointConventionBuilder MapNpmRegistry(this IEndpointRouteBuilder endpoints, params string[] mounts)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        ArgumentNullException.ThrowIfNull(mounts);
        if (!Mapped.TryAdd(endpoints, endpoints))
        {
            throw new InvalidOperationException("The registry is mapped here already: give all its mounts in one call, MapNpmRegistry(\"/npm\", \"/other\").");
        }

        var registry = new ServedRegistry(endpoints.ServiceProvider, mounts);
        var group = endpoints.MapGroup("");
        foreach (var mount in registry.Mounts)
        {
            Map(group, mount.TrimEnd('/') + "/{**path}", registry);
        }

        foreach (var path in registry.HasPage ? RegistryEndpoints.OperationsPaths.Concat(RegistryEndpoints.PagePaths) : RegistryEndpoints.OperationsPaths)
        {
            Map(group, path, registry).WithOrder(AfterTheApplications);
        }

        return group;
    }

    /// <summary>
    /// Answers every request, as <see cref="MapNpmRegistry"/> does and with an error that npm understands if it maps nothing: for a server that
    /// only serves mirrors. Terminal: later parts of the pipeline are never reached.
    /// </summary>
    /// <param name="app">The application; its services hold the mirror.</param>
    /// <param name="mounts">Paths like <c>/npm</c> or <c>/</c>.</param>
    public static IApplicationBuilder UseNpmRegistry(this IApplicationBuilder app, params string[] mounts)
    {
        ArgumentNullException.ThrowIfNull(app);
        ArgumentNullException.ThrowIfNull(mounts);
        var registry = new ServedRegistry(app.ApplicationServices, mounts);
        app.Run(context => registry.Endpoints.HandleAsync(context, context.Request.PathBase.Value ?? ""));
        return app;
    }

    /// <summary>The limits that suit npm clients: many sockets that stay open, long lists of packages to audit, uploads that are refused with an answer.</summary>
    public static void UseNpmRegistryLimits(this KestrelServerOptions kestrel)
    {
        ArgumentNullException.ThrowIfNull(kestrel);
        kestrel.AddServerHeader = false;
        kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(120);
        kestrel.Limits.MaxRequestLineSize = 16 * 1024;
        // Audits have their own, smaller limit. A publish must be read in part, or the client never reads the 405.
        kestrel.Limits.MaxRequestBodySize = 256 * 1024 * 1024;
    }

    /// <summary>
    /// Answers requests that came before in the same words on the connection itself, before the server: for a server that does nothing
    /// but serve mirrors. Middleware before <see cref="UseNpmRegistry"/> (authentication, logging) does not see them. Connections
    /// under TLS, or with <see cref="MirrorOptions.TrustedProxies"/>, are the server's alone. Also keeps the number of connections below the
    /// process's limit on open files, however many clients come: docs/operating.md says how. Sets <c>DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT</c> to the number of
    /// processors, unless it is set: call it before the process uses a socket.
    /// </summary>
    public static IWebHostBuilder UseNpmRegistryConnections(this IWebHostBuilder web)
    {
        ArgumentNullException.ThrowIfNull(web);
        AnsweringThread.AskForThreads();
        web.ConfigureServices(services =>
        {
            // Each request would go through two queues of the pool before it is seen; AnsweringThread decides about each.
            services.Configure<SocketTransportOptions>(sockets => sockets.UnsafePreferInlineScheduling = true);
            services.AddSingleton<AnswerMemory>().AddSingleton<ShortcutAnswers>().AddSingleton<ShortcutConnections>().AddSingleton<IConnectionListenerFactory, LimitedListeners>();
            services.TryAddSingleton(provider => new ClientConnections(
                OpenFileLimit.ClientsMax(OpenFileLimit.Read(), provider.GetRequiredService<MirrorOptions>().Concurrency),
                provider.GetRequiredService<TimeProvider>(),
                provider.GetRequiredService<ILogger<ClientConnections>>()));
        });
        return web.ConfigureKestrel(kestrel => kestrel.ConfigureEndpointDefaults(listen =>
        {
            var connections = listen.ApplicationServices.GetRequiredService<ShortcutConnections>();
            listen.Use(server => connection => connections.RunAsync(connection, server));
        }));
    }

    private static IEndpointConventionBuilder Map(RouteGroupBuilder group, string pattern, ServedRegistry registry) =>
        group.Map(pattern, context => registry.Endpoints.HandleAsync(context, context.Request.PathBase.Value + GroupOf(context, pattern)));

    /// <summary>The path of the groups that the pattern was mapped in.</summary>
    private static string GroupOf(HttpContext context, string pattern) =>
        (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText is { } whole && whole.EndsWith(pattern, StringComparison.Ordinal) ? whole[..^pattern.Length] : "";
}
