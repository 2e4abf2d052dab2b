using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NpmMirror.AspNetCore;
using NpmMirror.Hosting;
using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>The registry in an application that has endpoints of its own.</summary>
public sealed class MappedRegistryTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("An application's endpoints live beside the registry, in a branch and in a group too",
        With =
        [
            nameof(The_registry_serves_under_a_branch),
            nameof(The_registry_serves_in_a_group_and_beside_another_mount),
            nameof(The_registry_serves_at_the_root_with_others_beside_it),
            nameof(Settings_of_the_endpoints_count_for_all_of_them),
        ],
        Red = "the registry's own metrics come before those of an application: the first was red; the path of a branch, or of a group, is left out: the second and the third; conventions go to another group: the last")]
    [Fact]
    public async Task Other_endpoints_live_beside_the_registry()
    {
        await using var application = await StartAsync(app =>
        {
            app.MapGet("/hello", () => "hello");
            app.MapNpmRegistry("/npm");
            app.MapGet("/npm/-/about", () => "about");
            app.MapPost("/upload", () => "uploaded");
            app.MapGet("/", () => "home");
            app.Map("/metrics", () => "metrics of its own");
            app.MapFallback(() => "fallback");
        });
        using var client = Client(application);
        Assert.Equal("hello", await client.GetStringAsync(new Uri("/hello", UriKind.Relative), Cancelled));
        Assert.Equal("about", await client.GetStringAsync(new Uri("/npm/-/about", UriKind.Relative), Cancelled));
        Assert.Equal("home", await client.GetStringAsync(new Uri("/", UriKind.Relative), Cancelled));
        Assert.Equal("metrics of its own", await client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Cancelled));
        Assert.Equal("fallback", await client.GetStringAsync(new Uri("/elsewhere", UriKind.Relative), Cancelled));
        Assert.Equal(HttpStatusCode.OK, (await client.PostAsync(new Uri("/upload", UriKind.Relative), null, Cancelled)).StatusCode);
        Assert.Contains("live", await client.GetStringAsync(new Uri("/health/live", UriKind.Relative), Cancelled), StringComparison.Ordinal);
        await AssertServesAsync(client, "/npm");
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await client.PutAsync(new Uri("/npm/ms", UriKind.Relative), null, Cancelled)).StatusCode);
    }

    [Fact]
    public async Task The_registry_serves_under_a_branch()
    {
        await using var application = await StartAsync(app =>
        {
            app.Map("/npm", branch =>
            {
                branch.UseRouting();
                branch.UseEndpoints(endpoints => endpoints.MapNpmRegistry("/"));
            });
            app.MapGet("/hello", () => "hello");
        });
        using var client = Client(application);
        await AssertServesAsync(client, "/npm");
        Assert.Equal("hello", await client.GetStringAsync(new Uri("/hello", UriKind.Relative), Cancelled));
    }

    [Fact]
    public async Task The_registry_serves_in_a_group_and_beside_another_mount()
    {
        await using var application = await StartAsync(app => app.MapGroup("/registries").MapNpmRegistry("/one", "/two/three"));
        using var client = Client(application);
        await AssertServesAsync(client, "/registries/one");
        await AssertServesAsync(client, "/registries/two/three");
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync(new Uri("/one/ms", UriKind.Relative), Cancelled)).StatusCode);
    }

    [Fact]
    public async Task The_registry_serves_at_the_root_with_others_beside_it()
    {
        await using var application = await StartAsync(app =>
        {
            app.MapNpmRegistry("/");
            app.MapGet("/-/mine", () => "mine");
        });
        using var client = Client(application);
        await AssertServesAsync(client, "");
        Assert.Equal("mine", await client.GetStringAsync(new Uri("/-/mine", UriKind.Relative), Cancelled));
    }

    [Fact]
    public async Task Settings_of_the_endpoints_count_for_all_of_them()
    {
        await using var application = await StartAsync(app => app.MapNpmRegistry("/npm").WithMetadata("marked"));
        var endpoints = application.Services.GetRequiredService<EndpointDataSource>().Endpoints;
        Assert.NotEmpty(endpoints);
        Assert.All(endpoints, endpoint => Assert.Equal("marked", endpoint.Metadata.GetMetadata<string>()));
    }

    [Claim("A registry without a mirror, or mapped twice at one place, is refused in words",
        Red = "`MapNpmRegistry` does not remember where it mapped")]
    [Fact]
    public async Task A_registry_without_a_mirror_or_mapped_twice_is_refused()
    {
        var bare = WebApplication.CreateSlimBuilder().Build();
        await using (bare)
        {
            Assert.Contains("AddNpmMirror", Assert.Throws<InvalidOperationException>(() => bare.MapNpmRegistry()).Message, StringComparison.Ordinal);
        }

        await using var application = await StartAsync(app =>
        {
            app.MapNpmRegistry("/npm");
            Assert.Contains("in one call", Assert.Throws<InvalidOperationException>(() => app.MapNpmRegistry("/other")).Message, StringComparison.Ordinal);
        });
        using var client = Client(application);
        await AssertServesAsync(client, "/npm");
    }

    private static async Task AssertServesAsync(HttpClient client, string mount)
    {
        foreach (var _ in new[] { "made", "hot" })
        {
            var packument = await client.GetStringAsync(new Uri($"{mount}/ms", UriKind.Relative), Cancelled);
            Assert.Contains($"\"{client.BaseAddress!.AbsoluteUri.TrimEnd('/')}{mount}/ms/-/ms-1.0.0.tgz\"", packument, StringComparison.Ordinal);
            Assert.Contains("1.1.0", await client.GetStringAsync(new Uri($"{mount}/@scope%2fms/latest", UriKind.Relative), Cancelled), StringComparison.Ordinal);
            Assert.Contains("\"seq\":", await client.GetStringAsync(new Uri($"{mount}/_changes", UriKind.Relative), Cancelled), StringComparison.Ordinal);
        }
    }

    private static HttpClient Client(WebApplication application) =>
        new() { BaseAddress = new Uri(application.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First()) };

    private static async Task<WebApplication> StartAsync(Action<WebApplication> configure)
    {
        var options = new MirrorOptions { Upstream = "http://127.0.0.1:9/", Feed = "none" };
        var store = new MemoryStore(TimeProvider.System);
        await store.OpenAsync(Cancelled);
        await ServedMirror.PutAsync(store, "ms", Documents.Of("ms"));
        await ServedMirror.PutAsync(store, "@scope/ms", Documents.Of("@scope/ms"));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        builder.Services.AddNpmMirror(options).UseStore(store).UseBlobs(new MemoryBlobStore(TimeProvider.System));
        var application = builder.Build();
        configure(application);
        await application.StartAsync(Cancelled);
        return application;
    }
}
