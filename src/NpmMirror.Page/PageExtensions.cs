using Microsoft.Extensions.DependencyInjection;
using NpmMirror.AspNetCore.Pages;

namespace NpmMirror.Page;

/// <summary>Adds the page for people to an application that serves a mirror.</summary>
public static class PageExtensions
{
    /// <summary>Serves the page at the root beside the registry, at <c>/-/</c> if the registry is at the root; <see cref="Options.MirrorOptions.Ui"/> turns it off.</summary>
    /// <param name="services">Those of the application, to which a mirror was added.</param>
    public static IServiceCollection AddNpmMirrorPage(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);
        return services.AddSingleton<RegistryPageMaker>(parts => new RegistryPage(parts));
    }
}
