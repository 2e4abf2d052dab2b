using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace NpmMirror.Testing;

/// <summary>
/// A server of the S3 protocol with one bucket, in this process, on loopback: objects, ranges, lists by page, uploads in parts, conditional puts; it checks
/// signatures and body hashes as Amazon's does, refuses what simple servers would store wrongly, and fails as it is told.
/// </summary>
public sealed class FakeS3 : IAsyncDisposable
{
    private readonly WebApplication _application;

    private FakeS3(WebApplication application, TimeProvider time) => (_application, Time) = (application, time);

    /// <summary>Its address, with a trailing slash.</summary>
    public Uri Url { get; private set; } = new("http://127.0.0.1:9/");

    /// <summary>The only bucket.</summary>
    public string Bucket { get; } = "tarballs";

    /// <summary>The key that it knows.</summary>
    public string AccessKey { get; } = "mirror-key";

    /// <summary>That key's secret.</summary>
    public string SecretKey { get; } = "mirror-secret";

    /// <summary>The objects by key: change them as you like.</summary>
    public ConcurrentDictionary<string, FakeS3Object> Objects { get; } = new(StringComparer.Ordinal);

    /// <summary>Uploads that were begun and not finished, by id.</summary>
    public ConcurrentDictionary<string, FakeS3Upload> Uploads { get; } = new(StringComparer.Ordinal);

    /// <summary>What it was asked for: method, path and query as they came.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>Answers of trouble, each for as many requests as it says.</summary>
    public ConcurrentBag<FakeS3Trouble> Troubles { get; } = [];

    /// <summary>How many objects a page of a list has at most.</summary>
    public int PageSize { get; set; } = 1000;

    /// <summary>Objects that it takes; more is a full server. Null: no limit.</summary>
    public int? ObjectsMax { get; set; }

    /// <summary>Its clock, to which a signature's time is compared.</summary>
    public TimeProvider Time { get; set; }

    /// <summary>What is called before a request is answered, for races.</summary>
    public Func<string, string, Task>? Before { get; set; }

    /// <summary>Starts one with an empty bucket on 127.0.0.1; <paramref name="port"/> 0 takes a free one.</summary>
    public static async Task<FakeS3> StartAsync(int port = 0, TimeProvider? time = null, CancellationToken cancellationToken = default)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http1);
        });
        var fake = new FakeS3(builder.Build(), time ?? TimeProvider.System);
        fake._application.Run(context => new FakeS3Exchange(fake, context).HandleAsync());
        await fake._application.StartAsync(cancellationToken);
        fake.Url = new Uri(fake._application.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.First());
        return fake;
    }

    /// <summary>Stops listening.</summary>
    public ValueTask DisposeAsync() => _application.DisposeAsync();
}

/// <summary>A stored object.</summary>
/// <param name="Bytes">Its body.</param>
/// <param name="StoredAt">When it was put; told in whole seconds.</param>
public sealed record FakeS3Object(byte[] Bytes, DateTimeOffset StoredAt);

/// <summary>An upload in parts.</summary>
/// <param name="Key">The key it is for.</param>
/// <param name="BegunAt">When it began.</param>
/// <param name="Parts">The parts so far, by number.</param>
public sealed record FakeS3Upload(string Key, DateTimeOffset BegunAt, ConcurrentDictionary<int, byte[]> Parts);

/// <summary>Trouble that some requests meet.</summary>
public sealed class FakeS3Trouble
{
    private int _left = int.MaxValue;

    /// <summary>The method that it is for; null: any.</summary>
    public string? Method { get; init; }

    /// <summary>What the path has to contain.</summary>
    public string Path { get; init; } = "";

    /// <summary>How many requests meet it.</summary>
    public int Times { get => _left; init => _left = value; }

    /// <summary>The status, with <see cref="Code"/>; 0: the request is answered.</summary>
    public int Status { get; init; }

    /// <summary>The error's code, such as <c>SlowDown</c>.</summary>
    public string Code { get; init; } = "InternalError";

    /// <summary>After how many bytes of a body the connection ends; null: never.</summary>
    public int? CutAfterBytes { get; init; }

    internal bool Meets(string method, string path) => (Method is null || Method == method) && path.Contains(Path, StringComparison.Ordinal) && Interlocked.Decrement(ref _left) >= 0;
}
