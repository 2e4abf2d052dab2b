using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.AspNetCore.Feeds;
using NpmMirror.AspNetCore.Forwarding;
using NpmMirror.AspNetCore.Operations;
using NpmMirror.AspNetCore.Packages;
using NpmMirror.AspNetCore.Pages;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.AspNetCore.Searching;
using NpmMirror.AspNetCore.Shortcut;
using NpmMirror.Hosting;
using NpmMirror.Options;

namespace NpmMirror.AspNetCore;

/// <summary>The registry of one mirror at its mounts. Its endpoints are made when the host has started, which opens the mirror, or with the first request.</summary>
internal sealed class ServedRegistry : IDisposable
{
    private readonly IServiceProvider _services;
    private readonly RouteParser _routes;
    private readonly Lazy<RegistryEndpoints> _endpoints;

    // Counts from now on, also events before the first request.
    private readonly MetricsEndpoint _metrics;
    private IRegistryPage? _page;

    internal ServedRegistry(IServiceProvider services, IReadOnlyList<string> mounts)
    {
        var builder = services.GetService<MirrorBuilder>() ?? throw new InvalidOperationException("There is no mirror to serve: call services.AddNpmMirror(options) before the application is built.");
        _services = services;
        Mounts = mounts.Count > 0 ? mounts : [services.GetRequiredService<MirrorOptions>().Mount];
        _routes = new RouteParser(Mounts);
        _endpoints = new Lazy<RegistryEndpoints>(Create);
        _metrics = new MetricsEndpoint(services, scope: builder);
        var lifetime = services.GetRequiredService<IHostApplicationLifetime>();
        lifetime.ApplicationStarted.Register(() => _ = Endpoints);
        lifetime.ApplicationStopped.Register(Dispose);
    }

    /// <summary>Where the registry is.</summary>
    internal IReadOnlyList<string> Mounts { get; }

    /// <summary>Whether a page for people is served beside the registry.</summary>
    internal bool HasPage => PageMaker is not null;

    private RegistryPageMaker? PageMaker => _services.GetRequiredService<MirrorOptions>().Ui ? _services.GetService<RegistryPageMaker>() : null;

    /// <summary>The endpoints of the registry.</summary>
    internal RegistryEndpoints Endpoints => _endpoints.Value;

    /// <summary>Counts no more; the host has stopped.</summary>
    public void Dispose()
    {
        _metrics.Dispose();
        (_page as IDisposable)?.Dispose();
    }

    private RegistryEndpoints Create()
    {
        var mirror = _services.GetRequiredService<Mirror>();
        var memory = _services.GetService<AnswerMemory>() ?? new AnswerMemory();
        var (options, store, cache, client, readThrough, time) = (mirror.Options, mirror.Store, mirror.Renditions, mirror.Upstream, mirror.ReadThrough, mirror.Time);
        var visibility = mirror.Visibility;
        var addresses = new PublicAddresses(options, mirror.Meter);
        var instance = new MirrorInstance(store.Notes);
        var packages = new PackageFinder(readThrough.FindAsync, readThrough.IsServable, cache);
        var wait = new LogWait(mirror.Log, _services.GetRequiredService<IHostApplicationLifetime>(), time);
        var repair = mirror.DocumentRepair;
        var documents = new ServedDocuments(cache, repair);
        var asked = new AskedBody(mirror.Budget, time);
        var changes = new ChangesEndpoint(store.Packages, store.Log, visibility.Rules, wait, documents, asked, time);
        memory.MeasureIn(mirror.Meter);
        var metrics = AnswerMetrics.Of(mirror.Meter, time);
        _services.GetService<ClientConnections>()?.MeasureIn(mirror.Meter);
        var crossOrigin = CrossOriginPolicy.Of(options, client);
        if (options.TrustedProxies.Count == 0)
        {
            _services.GetService<ShortcutAnswers>()?.Open(new ShortcutFeeds(_routes, addresses, changes, crossOrigin, metrics, time));
        }

        var forwarder = new Forwarder(client, mirror.Budget, time);
        var tarballs = new TarballEndpoint(
            readThrough.FindAsync,
            readThrough.LookForAsync,
            memory,
            crossOrigin,
            mirror.Tarballs,
            visibility,
            mirror.TarballUsage,
            new TarballDescriptions(store.Packages, mirror.Budget, time, mirror.Meter),
            repair,
            options,
            time,
            mirror.Loggers.CreateLogger<TarballEndpoint>());
        var admin = new AdminAccess(options, addresses);
        var events = new EventsEndpoint(store.Log, visibility, mirror.Log, wait, time);
        var home = new HomeEndpoint(addresses, Mounts);
        var counts = new ClientCounts();
        _page = PageMaker?.Invoke(new PageParts(mirror, admin, events, crossOrigin, counts, _services.GetRequiredService<IHostApplicationLifetime>()));
        var endpoints = new EndpointSet
        {
            Packages = packages,
            Packuments = new PackumentEndpoint(packages, readThrough.LookForAsync, cache, repair, memory, crossOrigin, visibility.Rules, time),
            Tarballs = tarballs.HandleAsync,
            DistTags = new DistTagsEndpoint(packages, repair),
            Refresh = new RefreshEndpoint(readThrough.RefreshAsync, mirror.Repairs.ReplaceUnpromisedAsync, admin),
            Forwarding = new ForwardingEndpoint(forwarder, options, mirror.Budget, time),
            Search = new SearchEndpoint(mirror.Search, forwarder, new UpstreamResults(visibility, store.Packages), options, time),
            Kept = new KeptDocuments(store.Kept, visibility, mirror.Attestations, forwarder, time),
            Info = new InfoEndpoint(store, instance),
            Changes = changes,
            Events = events,
            Replication = new ReplicationEndpoint(store.Packages, visibility.Rules, documents, asked, time),
            AllDocs = new AllDocsEndpoint(store, visibility, documents, asked, time),
            All = new AllEndpoint(store.Packages, visibility, repair, mirror.Budget, time),
            Health = new HealthEndpoint(store, mirror.Blobs, time),
            Metrics = _metrics,
            Home = home,
            Page = new PageEndpoint(_page, addresses, home, Mounts),
        };
        return new RegistryEndpoints(endpoints, _routes, addresses, memory, instance, crossOrigin, metrics, _page is null ? null : counts, time, mirror.Loggers.CreateLogger<RegistryEndpoints>());
    }
}
