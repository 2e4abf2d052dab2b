using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NpmMirror.Mirroring;
using NpmMirror.Registry;

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
        var services = app.ApplicationServices;
        var options = services.GetRequiredService<MirrorOptions>();
        var cache = services.GetRequiredService<RenditionCache>();
        // In the process that wrote, nothing from before a commit is served once the commit has returned.
        services.GetRequiredService<PackageSync>().Committed += cache.Drop;
        var endpoints = Create(options, cache, services.GetRequiredService<ReadThrough>().FindAsync, mounts, services.GetRequiredService<ILogger<RegistryEndpoints>>());
        app.Run(endpoints.HandleAsync);
        return app;
    }

    internal static RegistryEndpoints Create(MirrorOptions options, RenditionCache cache, PackageLookup lookup, IReadOnlyList<string> mounts, ILogger<RegistryEndpoints> logger)
    {
        var hot = new HotRequests();
        return new RegistryEndpoints(
            new RouteParser(mounts.Count > 0 ? mounts : [options.Mount]),
            new PublicAddresses(options),
            hot,
            cache,
            new PackumentEndpoint(new PackageFinder(lookup, cache), cache, hot),
            (context, _, _) => RegistryErrors.WriteAsync(context, 404, "Not found."),
            logger);
    }
}
