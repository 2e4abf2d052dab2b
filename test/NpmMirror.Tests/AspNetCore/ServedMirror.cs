using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NpmMirror.AspNetCore;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.Hosting;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Page;
using NpmMirror.Renditions;
using NpmMirror.Search;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>A whole mirror on a free port of 127.0.0.1, over a store that the test may share between two.</summary>
internal sealed class ServedMirror : IAsyncDisposable
{
    private const string NoMembers = "{\"members\":[]}";

    private readonly WebApplication _application;
    private int _requestsSeen;
    private int _requestsOffThePool;

    private ServedMirror(WebApplication application, IMetadataStore store, HeldPort? port)
    {
        _application = application;
        Store = store;
        var addresses = application.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses;
        Address = new Uri(port is null ? addresses.First().Replace("0.0.0.0", "127.0.0.1", StringComparison.Ordinal) : $"http://127.0.0.1:{port.Number}/");
        Client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, AutomaticDecompression = DecompressionMethods.None, UseProxy = false }) { BaseAddress = new Uri(Address, "/npm/") };
    }

    /// <summary>Where it listens.</summary>
    internal Uri Address { get; }

    /// <summary>A client whose relative addresses begin at <c>/npm/</c>; it decompresses nothing.</summary>
    internal HttpClient Client { get; }

    internal IMetadataStore Store { get; }

    internal IServiceProvider Services => _application.Services;

    /// <summary>How many requests reached the server: repeated ones are answered on their connection.</summary>
    internal int RequestsSeen => Volatile.Read(ref _requestsSeen);

    /// <summary>How many of them were begun on a thread that other connections wait for.</summary>
    internal int RequestsOffThePool => Volatile.Read(ref _requestsOffThePool);

    internal Mirror Mirror => Services.GetRequiredService<Mirror>();

    /// <summary>Whether a live feed tells of every change; null: as the mirror itself knows.</summary>
    internal bool? IsFollowed { get; set; }

    internal RenditionCache Cache => Mirror.Renditions;

    /// <summary>Starts one. Without an upstream it has a dead one; without a folder for its search index it has none, and forwards searches.</summary>
    internal static async Task<ServedMirror> StartAsync(
        IMetadataStore? store = null, Uri? upstream = null, Action<MirrorOptions>? configure = null, TimeProvider? time = null, IBlobStore? blobs = null, HeldPort? port = null, bool isHot = true, ClientConnections? connections = null, IPAddress? address = null, string? searchFolder = null, bool hasPage = false, params string[] mounts)
    {
        var options = new MirrorOptions
        {
            Upstream = (upstream ?? new Uri("http://127.0.0.1:9/")).AbsoluteUri,
            Feed = "none",
            PollDelay = TimeSpan.FromMilliseconds(200),
            Search = searchFolder is null ? SearchMode.Forward : new MirrorOptions().Search,
        };
        options.Data = searchFolder ?? options.Data;
        configure?.Invoke(options);
        time ??= TimeProvider.System;
        store ??= new MemoryStore(time);
        await store.OpenAsync(TestContext.Current.CancellationToken);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        if (isHot)
        {
            builder.WebHost.UseNpmRegistryConnections();
            if (connections is not null)
            {
                builder.Services.AddSingleton(connections);
            }
        }

        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.UseNpmRegistryLimits();
            if (port is null)
            {
                kestrel.Listen(address ?? IPAddress.Loopback, 0);
            }
            else
            {
                kestrel.ListenHandle(port.ForServer());
            }
        });
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(2));
        builder.Services.AddSingleton(time);
        ServedMirror? served = null;
        var mirror = builder.Services.AddNpmMirror(options).UseStore(store).UseBlobs(blobs ?? new MemoryBlobStore(time));
        if (searchFolder is not null)
        {
            mirror.UseSqliteSearch();
        }

        mirror.Upstream = new RegistryClientOptions { BaseUrl = new Uri(options.Upstream!) };
        mirror.IsFollowed = () => served is not null && (served.IsFollowed ?? served.Mirror.Registry.IsFollowed);
        if (hasPage)
        {
            builder.Services.AddNpmMirrorPage();
        }

        var application = builder.Build();
        application.Use(next => context =>
        {
            Interlocked.Increment(ref served!._requestsSeen);
            Interlocked.Add(ref served._requestsOffThePool, Thread.CurrentThread.IsThreadPoolThread ? 0 : 1);
            return next(context);
        });
        application.UseNpmRegistry(mounts);
        await application.StartAsync(TestContext.Current.CancellationToken);
        served = new ServedMirror(application, store, port);
        return served;
    }

    /// <summary>Commits a document as another process would: only the log tells of it.</summary>
    internal Task PutAsync(string name, string json, string payload = NoMembers) => PutAsync(Store, name, json, payload);

    /// <summary>The id that it goes by among mirrors.</summary>
    internal async Task<string?> InstanceAsync() => await Store.Notes.FindNoteAsync(MirrorCursors.Instance, TestContext.Current.CancellationToken);

    /// <summary>Returns when the mirror has heard of everything that was committed.</summary>
    internal async Task SettleAsync()
    {
        var head = (await Store.Log.ReadHeadAsync(TestContext.Current.CancellationToken)).Position;
        Assert.Equal(head, await Mirror.Log.WaitAsync(new LogPosition(head.Value - 1), TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
    }

    /// <summary>Commits a document straight into a store.</summary>
    internal static async Task PutAsync(IMetadataStore store, string name, string json, string payload = NoMembers)
    {
        var package = PackageName.Parse(name);
        var raw = Encoding.UTF8.GetBytes(json);
        var parsed = PackumentReader.Read(raw, package);
        var row = await store.Packages.FindAsync(package, default);
        var pending = new Log.PendingEvent { Ordinal = 0, Type = "MetadataChanged", SeenAt = DateTimeOffset.UnixEpoch, Payload = Encoding.UTF8.GetBytes(payload) };
        var committed = await store.Packages.CommitAsync(
            new PackageCommit
            {
                Name = package,
                ExpectedGeneration = row?.Generation ?? 0,
                Document = DocumentCodecs.Encode(raw),
                Index = parsed.Index.ToBytes(),
                Facts = new PackageFacts { FirstSeenAt = DateTimeOffset.UnixEpoch, StoredAt = DateTimeOffset.UnixEpoch, ModifiedAt = parsed.Index.ModifiedAt, Rev = parsed.Index.Rev },
                Events = [pending],
            },
            default);
        Assert.True(committed.IsCommitted);
    }

    /// <summary>Puts a package into the graveyard.</summary>
    internal async Task RemoveAsync(string name, Log.RemovalKind kind = Log.RemovalKind.Gone)
    {
        var row = (await Store.Packages.FindAsync(PackageName.Parse(name), default))!;
        var pending = new Log.PendingEvent { Ordinal = 0, Type = "PackageRemoved", SeenAt = DateTimeOffset.UnixEpoch, Payload = "{\"kind\":\"gone\",\"archived\":\"\"}"u8.ToArray() };
        await Store.Packages.CommitAsync(new PackageCommit { Name = row.Name, ExpectedGeneration = row.Generation, Facts = row.Facts with { Removal = kind }, Events = [pending] }, default);
    }

    internal async Task<HttpResponseMessage> GetAsync(string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.RelativeOrAbsolute));
        return await SendAsync(request, headers);
    }

    internal async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, params (string Name, string Value)[] headers)
    {
        foreach (var (name, value) in headers)
        {
            Assert.True(request.Headers.TryAddWithoutValidation(name, value));
        }

        return await Client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    internal async Task<string> TextAsync(string path) => await Client.GetStringAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);

    /// <summary>Writes a request byte for byte and gives the whole answer; the connection ends with it.</summary>
    internal async Task<string> RawAsync(string request, string? address = null)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(TimeSpan.FromSeconds(20));
        await socket.ConnectAsync(address ?? Address.Host, Address.Port, deadline.Token);
        await socket.SendAsync(Encoding.Latin1.GetBytes(request), deadline.Token);
        using var answer = new MemoryStream();
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await socket.ReceiveAsync(buffer, deadline.Token)) > 0)
        {
            answer.Write(buffer, 0, read);
        }

        return Encoding.Latin1.GetString(answer.ToArray());
    }

    /// <summary>A raw GET of a target, by the mirror's own name.</summary>
    internal Task<string> RawGetAsync(string target) => RawAsync($"GET {target} HTTP/1.1\r\nHost: {Address.Authority}\r\nConnection: close\r\n\r\n");

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _application.DisposeAsync();
    }
}
