using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace NpmMirror.Testing;

/// <summary>
/// An npm registry with its change feed, in this process, on loopback: feed it packages, change them while it runs, disturb it by
/// <see cref="Knobs"/>, and look at its requests in <see cref="Requests"/>.
/// </summary>
public sealed partial class FakeRegistry : IAsyncDisposable
{
    private readonly WebApplication _application;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lazy<FakeLife> _life;
    private int _inFlight;

    private FakeRegistry(WebApplication application, TimeProvider time)
    {
        _application = application;
        _time = time;
        Database = new FakeDatabase(Knobs.Mishaps, time);
        _life = new Lazy<FakeLife>(() => new FakeLife(this, Knobs.Mishaps.Seed));
    }

    /// <summary>Its address, with a trailing slash.</summary>
    public Uri Url { get; private set; } = new("http://127.0.0.1:9/");

    /// <summary>The address it writes into packuments, when that is another one than <see cref="Url"/>: behind a proxy, or to send clients astray.</summary>
    public Uri? PublicUrl { get; set; }

    /// <summary>The address of its change feed as of its own service: <c>{Url}registry/</c>. The same feed is at <see cref="Url"/> too.</summary>
    public Uri FeedUrl => new(Url, "registry/");

    /// <summary>Its abilities and faults.</summary>
    public FakeKnobs Knobs { get; } = new();

    /// <summary>The requests that it got.</summary>
    public RequestLog Requests { get; } = new();

    /// <summary>The key it signs with now.</summary>
    public FakeSigningKey SigningKey { get; } = new();

    /// <summary>The key it signed with before, expired; told to clients beside the present one.</summary>
    public FakeSigningKey ExpiredKey { get; } = new(FakePackage.Birth.AddDays(-1));

    /// <summary>Tarballs by decoded path (<c>/ms/-/ms-2.1.3.tgz</c>): change them as you like.</summary>
    public ConcurrentDictionary<string, byte[]> Tarballs { get; } = new(StringComparer.Ordinal);

    /// <summary>The times from which tarballs are served.</summary>
    internal ConcurrentDictionary<string, DateTimeOffset> TarballsFrom { get; } = new(StringComparer.Ordinal);

    /// <summary>Attestation documents by <c>name@version</c>.</summary>
    public ConcurrentDictionary<string, JsonObject> Attestations { get; } = new(StringComparer.Ordinal);

    /// <summary>Security advisories by package name: arrays as the bulk endpoint answers them.</summary>
    public ConcurrentDictionary<string, JsonArray> Advisories { get; } = new(StringComparer.Ordinal);

    /// <summary>The newest sequence of its feed.</summary>
    public long HeadSequence => Database.Head;

    /// <summary>The names of all packages that are not deleted.</summary>
    public IReadOnlyList<string> Names => [.. Database.All().Select(document => document.Name)];

    /// <summary>Requests being answered now, other than those for changes.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>The changes that people make in it, if it is told so: see <see cref="FakeLife"/>.</summary>
    public FakeLife Life => _life.Value;

    internal FakeDatabase Database { get; }

    internal CancellationToken Stopping => _stopping.Token;

    internal TimeProvider Time => _time;

    internal void Count(int change) => Interlocked.Add(ref _inFlight, change);

    /// <summary>Starts an empty registry on 127.0.0.1; <paramref name="port"/> 0 takes a free one.</summary>
    public static async Task<FakeRegistry> StartAsync(int port = 0, TimeProvider? time = null, CancellationToken cancellationToken = default)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = 64 * 1024 * 1024;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Listen(IPAddress.Loopback, port, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.Use(next => connection =>
                {
                    connection.Features.Set(new FakeConnection(connection));
                    return next(connection);
                });
            });
        });
        builder.Services.Configure<HostOptions>(static options => options.ShutdownTimeout = TimeSpan.FromSeconds(1));
        var registry = new FakeRegistry(builder.Build(), time ?? TimeProvider.System);
        registry._application.Run(context => new FakeExchange(registry, context).HandleAsync());
        await registry._application.StartAsync(cancellationToken);
        var addresses = registry._application.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses;
        registry.Url = new Uri(addresses.First());
        return registry;
    }

    /// <summary>The packument as it is served, in the full form; or null.</summary>
    public byte[]? Packument(string name) =>
        Database.Find(name) is { IsDeleted: false } document ? document.Body(new FakeForm(IsAbbreviated: false, Knobs.HasRevision, Knobs.HasModified)).Raw : null;

    /// <summary>The newest <c>_rev</c> of a package, or null.</summary>
    public string? Revision(string name) => Database.Find(name)?.Revision;

    /// <summary>Stops listening and ends all connections.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        if (_life.IsValueCreated)
        {
            _life.Value.Dispose();
        }

        await _application.DisposeAsync();
        SigningKey.Dispose();
        ExpiredKey.Dispose();
        _stopping.Dispose();
    }
}
