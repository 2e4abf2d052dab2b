using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Tarballs;
using NpmMirror.Tests.Upstream;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Tarballs;

/// <summary>Tarball downloads over real files, a real client and a peer on loopback that answers as the test says.</summary>
internal sealed class TarballScene : IAsyncDisposable
{
    public static readonly PackageName Package = PackageName.Parse("left-pad");

    private readonly string _root = Directory.CreateTempSubdirectory("npm-mirror-tarballs-").FullName;
    private readonly ByteBudget _budget = new(64_000_000);
    private readonly FileBlobStore _files;
    private readonly List<IAsyncDisposable> _owned = [];
    private readonly ILogger<TarballDownloads> _logger;

    public TarballScene(Func<PeerRequest, Stream, CancellationToken, Task> answer, TimeProvider? time = null, Action<MirrorOptions>? configure = null, Func<IBlobStore, IBlobStore>? wrap = null, CollectedLog? log = null)
    {
        Time = time ?? TimeProvider.System;
        Peer = new LoopbackPeer(answer);
        configure?.Invoke(Options);
        _files = new FileBlobStore(_root, NullLogger<FileBlobStore>.Instance);
        Blobs = wrap?.Invoke(_files) ?? _files;
        Store = new MemoryStore(Time);
        Client = new RegistryClient(new RegistryClientOptions { BaseUrl = Peer.Url, TarballMaxBytes = Options.TarballMaxBytes, Timeout = Options.UpstreamTimeout }, _budget, Time, NullLogger.Instance);
        _logger = log is null ? NullLogger<TarballDownloads>.Instance : log.For<TarballDownloads>();
        Downloads = StartAnother();
    }

    public MirrorOptions Options { get; } = new();

    public TimeProvider Time { get; }

    public LoopbackPeer Peer { get; }

    public IBlobStore Blobs { get; }

    public MemoryStore Store { get; }

    public RegistryClient Client { get; }

    public TarballDownloads Downloads { get; private set; }

    public int UnfinishedFiles => Directory.Exists(Path.Combine(_root, "blobs", "unfinished")) ? Directory.EnumerateFiles(Path.Combine(_root, "blobs", "unfinished"), "*.part").Count() : 0;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>Bytes that no compression and no luck can mend.</summary>
    public static byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    public static TarballPromise PromiseOf(byte[] bytes) => new("sha512-" + Convert.ToBase64String(SHA512.HashData(bytes)), null);

    public static byte[] Head(string headers, string version = "1.1") => Encoding.ASCII.GetBytes($"HTTP/{version} 200 OK\r\nContent-Type: application/octet-stream\r\n{headers}\r\n");

    /// <summary>Answers with all bytes at once.</summary>
    public static Func<PeerRequest, Stream, CancellationToken, Task> Whole(byte[] bytes) => async (_, stream, cancellationToken) =>
    {
        await stream.WriteAsync(Head($"Content-Length: {bytes.Length}\r\nConnection: close\r\n"), cancellationToken);
        await stream.WriteAsync(bytes, cancellationToken);
    };

    /// <summary>Forgets the memory, as a restart does.</summary>
    public TarballDownloads StartAnother()
    {
        Downloads = new TarballDownloads(Store, Blobs, Client, Options, Time, _logger);
        _owned.Add(Downloads);
        return Downloads;
    }

    public Task<TarballResult> OpenAsync(TarballPromise promise, DateTimeOffset? publishedAt = null) =>
        Downloads.OpenAsync(Package, VersionAt(publishedAt), new Uri(Peer.Url, "left-pad/-/left-pad-1.0.0.tgz").AbsoluteUri, promise, Cancelled);

    public async Task<TarballReading> OpenReadingAsync(TarballPromise promise) => Assert.IsType<TarballResult.Opened>(await OpenAsync(promise)).Reading;

    public async Task<byte[]> FetchAsync(TarballPromise promise)
    {
        await using var reading = await OpenReadingAsync(promise);
        return await ReadToEndAsync(reading);
    }

    /// <summary>Waits until no download is under way: rows are written after the last byte.</summary>
    public Task SettleAsync() => Eventually.Async(() => Downloads.Underway == 0);

    public ValueTask<TarballRow?> RowAsync() => Store.Tarballs.FindTarballAsync(Package, "left-pad-1.0.0.tgz", Cancelled);

    public static async Task<byte[]> ReadToEndAsync(TarballReading reading)
    {
        using var all = new MemoryStream();
        var buffer = new byte[10_000];
        int read;
        while ((read = await reading.ReadAsync(all.Length, buffer, Cancelled)) > 0)
        {
            all.Write(buffer, 0, read);
        }

        return all.ToArray();
    }

    public async Task<List<BlobInfo>> ListBlobsAsync() => await Blobs.ListAsync(Cancelled).ToListAsync(Cancelled);

    public async ValueTask DisposeAsync()
    {
        foreach (var downloads in _owned)
        {
            await downloads.DisposeAsync();
        }

        await Peer.DisposeAsync();
        Client.Dispose();
        await Store.DisposeAsync();
        _files.Dispose();
        _budget.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    private static VersionEntry VersionAt(DateTimeOffset? publishedAt) => new("1.0.0", default, default, default, 0, publishedAt);
}
