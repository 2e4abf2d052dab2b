using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.Mirroring;
using NpmMirror.Registry;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.AspNetCore;

/// <summary>Serves a mirror from an ASP.NET Core application.</summary>
public static class NpmRegistryExtensions
{
    /// <summary>
    /// Serves the registry protocol under the mounts (default: <see cref="MirrorOptions.Mount"/>), and health, metrics and a front page
    /// beside them. Terminal: what comes after it in the pipeline is never reached.
    /// </summary>
    /// <param name="app">The application; its services hold the mirror.</param>
    /// <param name="mounts">Paths like <c>/npm</c> or <c>/</c>.</param>
    public static IApplicationBuilder MapNpmRegistry(this IApplicationBuilder app, params string[] mounts)
    {
        ArgumentNullException.ThrowIfNull(app);
        ArgumentNullException.ThrowIfNull(mounts);
        app.Run(Create(app.ApplicationServices, mounts).HandleAsync);
        return app;
    }

    /// <summary>The limits that suit npm clients: many sockets that stay open, long lists of packages to audit, uploads that are refused with an answer.</summary>
    public static void UseNpmRegistryLimits(this KestrelServerOptions kestrel)
    {
        ArgumentNullException.ThrowIfNull(kestrel);
        kestrel.AddServerHeader = false;
        kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(120);
        kestrel.Limits.MaxRequestLineSize = 16 * 1024;
        // Audits have their own, smaller limit. What is published has to be let in a little, or the client never reads the 405.
        kestrel.Limits.MaxRequestBodySize = 256 * 1024 * 1024;
    }

    /// <summary>
    /// Answers requests that came before in the same words on the connection itself, before the server: for a server that does nothing
    /// but serve mirrors. Middleware in front of <see cref="MapNpmRegistry"/> (authentication, logging) does not see them. Connections
    /// under TLS, or with <see cref="MirrorOptions.TrustedProxies"/>, are the server's alone. Also keeps the number of connections below the
    /// process's limit on open files, however many clients come: docs/operating.md says how.
    /// </summary>
    public static IWebHostBuilder UseNpmRegistryConnections(this IWebHostBuilder web)
    {
        ArgumentNullException.ThrowIfNull(web);
        web.ConfigureServices(services =>
        {
            services.AddSingleton<HotRequests>().AddSingleton<HotConnections>().AddSingleton<IConnectionListenerFactory, LimitedListeners>();
            services.TryAddSingleton(provider => new ClientConnections(
                OpenFileLimit.ClientsMax(OpenFileLimit.Read(), provider.GetRequiredService<MirrorOptions>().Concurrency),
                provider.GetRequiredService<TimeProvider>(),
                provider.GetRequiredService<ILogger<ClientConnections>>()));
        });
        return web.ConfigureKestrel(kestrel => kestrel.ConfigureEndpointDefaults(listen =>
        {
            var connections = listen.ApplicationServices.GetRequiredService<HotConnections>();
            listen.Use(server => connection => connections.RunAsync(connection, server));
        }));
    }

    internal static RegistryEndpoints Create(IServiceProvider services, IReadOnlyList<string> mounts)
    {
        var options = services.GetRequiredService<MirrorOptions>();
        var store = services.GetRequiredService<IMetadataStore>();
        var cache = services.GetRequiredService<RenditionCache>();
        var client = services.GetRequiredService<RegistryClient>();
        var readThrough = services.GetRequiredService<ReadThrough>();
        var time = services.GetRequiredService<TimeProvider>();
        mounts = mounts.Count > 0 ? mounts : [options.Mount];

        var addresses = new PublicAddresses(options);
        var hot = services.GetService<HotRequests>() ?? new HotRequests();
        var instance = new MirrorInstance(store);
        var packages = new PackageFinder(readThrough.FindAsync, readThrough.IsServable, cache);
        var log = services.GetRequiredService<RegistryLog>();
        var wait = new LogWait(log, services.GetRequiredService<IHostApplicationLifetime>(), time);
        var documents = new ServedDocuments(cache);
        var routes = new RouteParser(mounts);
        var changes = new ChangesEndpoint(store, wait, documents, time);
        var crossOrigin = CrossOriginPolicy.Of(options, client);
        hot.CrossOrigin = crossOrigin;
        hot.IsOnConnections = options.TrustedProxies.Count == 0;
        hot.Feeds = hot.IsOnConnections ? new HotFeeds(routes, addresses, changes, crossOrigin, time) : null;
        var budget = services.GetRequiredService<ByteBudget>();
        var forwarder = new Forwarder(client, budget, time);
        var endpoints = new EndpointSet
        {
            Packages = packages,
            Packuments = new PackumentEndpoint(packages, readThrough.LookForAsync, cache, hot, services.GetRequiredService<TarballBlocks>(), time),
            Tarballs = ActivatorUtilities.CreateInstance<TarballEndpoint>(services, (PackageLookup)readThrough.FindAsync, (VersionLookup)readThrough.LookForAsync, hot, ActivatorUtilities.CreateInstance<TarballDescriptions>(services)).HandleAsync,
            DistTags = new DistTagsEndpoint(packages),
            Refresh = new RefreshEndpoint(readThrough.RefreshAsync, new AdminAccess(options, addresses)),
            Forwarding = new ForwardingEndpoint(forwarder, options, budget, time),
            Kept = new KeptDocuments(store, services.GetRequiredService<KeptAttestations>(), forwarder, time),
            Info = new InfoEndpoint(store, instance),
            Changes = changes,
            Events = new EventsEndpoint(store, log, wait, time),
            Replication = new ReplicationEndpoint(store, documents, time),
            AllDocs = new AllDocsEndpoint(store, documents, time),
            All = new AllEndpoint(store, time),
            Health = new HealthEndpoint(store, services.GetService<IBlobStore>(), time),
            Metrics = new MetricsEndpoint(new MetricsListener()),
            Home = new HomeEndpoint(addresses, mounts),
        };
        return new RegistryEndpoints(endpoints, routes, addresses, hot, instance, crossOrigin, services.GetRequiredService<ILogger<RegistryEndpoints>>());
    }
}
