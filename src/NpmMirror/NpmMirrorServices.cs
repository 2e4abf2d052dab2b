using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using NpmMirror.Maintenance;
using NpmMirror.Mirroring;
using NpmMirror.Registry;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror;

/// <summary>What a mirror is made of that its host opens: engines, the client towards the upstream, and how its feed is found.</summary>
/// <param name="Store">The opened metadata store.</param>
/// <param name="Blobs">Where tarballs go.</param>
/// <param name="Upstream">The client towards the upstream.</param>
/// <param name="FindFeed">Finds the upstream's feed.</param>
/// <param name="Budget">The memory for raw documents; the same one the client uses.</param>
public sealed record MirrorParts(IMetadataStore Store, IBlobStore Blobs, RegistryClient Upstream, FindFeed FindFeed, ByteBudget Budget);

/// <summary>Puts a mirror together in a service collection.</summary>
public static class NpmMirrorServices
{
    /// <summary>
    /// Registers one mirror. <see cref="RegistryMirror"/> and <see cref="RegistryLog"/> run as hosted services; the parts stay their owner's to dispose.
    /// </summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: the options have faults; the message tells all of them.</exception>
    public static IServiceCollection AddNpmMirror(this IServiceCollection services, MirrorOptions options, MirrorParts parts)
    {
        if (MirrorOptionsValidator.FindFaults(options).ToList() is { Count: > 0 } faults)
        {
            throw new MirrorException(MirrorFault.Configuration, string.Join(" ", faults));
        }

        options.TakeCouch();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton(parts.Store);
        services.AddSingleton(parts.Blobs);
        services.AddSingleton(parts.Upstream);
        services.AddSingleton(parts.FindFeed);
        services.AddSingleton(parts.Budget);
        services.AddSingleton<DefaultBase>();
        services.AddSingleton<PackageScope>();
        services.AddSingleton<TarballDownloads>();
        services.AddSingleton<TarballUsage>();
        services.AddSingleton(provider =>
        {
            var blocks = ActivatorUtilities.CreateInstance<TarballBlocks>(provider);
            provider.GetRequiredService<PackageSync>().Committed += blocks.Forget;
            return blocks;
        });
        services.AddSingleton<PackageSync>();
        services.AddSingleton<SyncQueue>();
        services.AddSingleton<ReadThrough>();
        services.AddSingleton<DocumentRepair>();
        services.AddSingleton<RegistryMirror>();
        services.AddSingleton(provider =>
        {
            var cache = ActivatorUtilities.CreateInstance<RenditionCache>(provider);

            // Before a commit returns to whoever asked for it, nobody is served what was before.
            provider.GetRequiredService<PackageSync>().Committed += cache.Drop;
            return cache;
        });
        services.AddHostedService(provider => provider.GetRequiredService<RegistryMirror>());
        services.AddSingleton<RegistryLog>();
        services.AddHostedService(provider => provider.GetRequiredService<RegistryLog>());
        services.AddHostedService<WritableWatch>();
        services.AddHostedService<PauseWatch>();
        services.AddSingleton<KeptAttestations>();
        services.AddSingleton<GarbageCollector>();
        services.AddHostedService<GarbageSchedule>();
        return services;
    }
}
