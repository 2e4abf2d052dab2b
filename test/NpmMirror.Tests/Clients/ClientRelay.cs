using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Clients;

/// <summary>
/// Stands between a client and the mirror and notes every request and every tarball that passed. Its address stays the same when the
/// mirror is started anew elsewhere, as a load balancer's does.
/// </summary>
public sealed class ClientRelay : IAsyncDisposable
{
    private readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false }) { Timeout = TimeSpan.FromSeconds(60) };
    private readonly WebApplication _application;

    private ClientRelay(WebApplication application) => _application = application;

    /// <summary>Where it listens.</summary>
    public Uri Url { get; private set; } = new("http://127.0.0.1:9/");

    /// <summary>The registry's address as the client sees it.</summary>
    public Uri Registry => new(Url, "npm/");

    /// <summary>Where requests go.</summary>
    public Uri Target { get; set; } = new("http://127.0.0.1:9/");

    /// <summary>The requests that passed.</summary>
    public RequestLog Requests { get; } = new();

    /// <summary>Path → sha512 (as integrity) of each tarball that passed whole; twice where it passed twice.</summary>
    public ConcurrentQueue<(string Path, string Integrity)> Tarballs { get; } = new();

    public static Task<ClientRelay> StartAsync(CancellationToken cancellationToken) => StartAsync(IPAddress.Loopback, cancellationToken);

    public static async Task<ClientRelay> StartAsync(IPAddress address, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(address, 0));
        var relay = new ClientRelay(builder.Build());
        relay._application.Run(relay.PassOnAsync);
        await relay._application.StartAsync(cancellationToken);
        relay.Url = new Uri(relay._application.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First());
        return relay;
    }

    /// <summary>Forgets the requests so far.</summary>
    public void Forget()
    {
        Requests.Clear();
        Tarballs.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        await _application.DisposeAsync();
        _client.Dispose();
    }

    private async Task PassOnAsync(HttpContext context)
    {
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var path = Uri.UnescapeDataString(target.Split('?')[0]);
        var noted = new RecordedRequest(context.Request.Method, target, path, context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase), default);
        Requests.Add(noted);

        // The raw target, since Uri would decode the client's encoding.
        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), new Uri(Target.AbsoluteUri.TrimEnd('/') + target, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (context.Request.ContentLength > 0 || context.Request.Headers.TransferEncoding.Count > 0)
        {
            request.Content = new StreamContent(context.Request.Body);
        }

        foreach (var (name, value) in context.Request.Headers)
        {
            if (!name.Equals("Connection", StringComparison.OrdinalIgnoreCase) && !request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value))
            {
                request.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value);
            }
        }

        try
        {
            using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, context.RequestAborted);
            noted.Status = (int)response.StatusCode;
            context.Response.StatusCode = (int)response.StatusCode;
            foreach (var (name, values) in response.Headers.Concat(response.Content.Headers).Where(header => header.Key is not ("Transfer-Encoding" or "Connection")))
            {
                context.Response.Headers[name] = values.ToArray();
            }

            if (path.EndsWith(".tgz", StringComparison.Ordinal) && response.IsSuccessStatusCode)
            {
                // Whole before it passes: a client that leaves early must not look like a mirror that sent too little.
                var body = await response.Content.ReadAsByteArrayAsync(context.RequestAborted);
                Tarballs.Enqueue((path, "sha512-" + Convert.ToBase64String(SHA512.HashData(body))));
                await context.Response.Body.WriteAsync(body, context.RequestAborted);
                return;
            }

            await response.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
        }
        catch (HttpRequestException) when (!context.Response.HasStarted)
        {
            context.Response.StatusCode = StatusCodes.Status502BadGateway;
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
        {
            context.Abort();
        }
    }
}
