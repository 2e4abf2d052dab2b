using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using NpmMirror.Options;

namespace NpmMirror.Hosting;

/// <summary>A mirror among the services of a host.</summary>
public static class NpmMirrorServices
{
    /// <summary>
    /// Adds a mirror, which is opened and started with the host. <see cref="Mirror"/> is a service from then on.
    /// </summary>
    /// <param name="services">The host's services.</param>
    /// <param name="options">The registry to mirror, and how. Without an upstream: the registry that npm is configured for.</param>
    /// <returns>The builder, for another engine, store, clock or loggers.</returns>
    /// <exception cref="InvalidOperationException">The host has a mirror already.</exception>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: the options have faults; the message tells all of them.</exception>
    public static MirrorBuilder AddNpmMirror(this IServiceCollection services, MirrorOptions options)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (services.Any(service => service.ServiceType == typeof(MirrorHost)))
        {
            throw new InvalidOperationException($"This host has a mirror already, and a host has one. Give the second one a host of its own, or start it with {nameof(Mirror)}.{nameof(Mirror.StartAsync)}.");
        }

        var builder = new MirrorBuilder(options);
        MirrorBuilder.Check(builder.Options);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(builder.Options);
        services.AddSingleton(builder);
        services.AddSingleton<MirrorHost>();
        services.AddHostedService(provider => provider.GetRequiredService<MirrorHost>());
        services.AddSingleton(provider => provider.GetRequiredService<MirrorHost>().Mirror);
        return builder;
    }
}
