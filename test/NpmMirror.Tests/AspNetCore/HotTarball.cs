using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>A mirror with one tarball, which is stored and remembered.</summary>
internal sealed class HotTarball : IAsyncDisposable
{
    /// <summary>Asks for it.</summary>
    internal const string Request = $"GET /npm/left-pad/-/left-pad-1.0.0.tgz HTTP/1.1\r\nHost: {Host}\r\nAccept: */*\r\n\r\n";

    /// <summary>Asks for something else, and ends the connection.</summary>
    internal const string Last = $"GET /npm/-/ping HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n";

    private const string Host = "localhost:4873";

    private readonly string _folder = Directory.CreateTempSubdirectory("npm-mirror-").FullName;

    private HotTarball(FakeRegistry registry)
    {
        Registry = registry;
        Blobs = new FileBlobStore(_folder, NullLogger<FileBlobStore>.Instance);
    }

    internal FakeRegistry Registry { get; }

    internal FileBlobStore Blobs { get; }

    internal MemoryStore Store { get; } = new(TimeProvider.System);

    internal FakeClock Clock { get; } = new();

    internal ServedMirror Mirror { get; private set; } = null!;

    internal byte[] Bytes => Registry.Tarballs["/left-pad/-/left-pad-1.0.0.tgz"];

    /// <summary>Its file.</summary>
    internal string Blob => Directory.GetFiles(Path.Combine(_folder, "blobs"), new string('?', 128), SearchOption.AllDirectories).Single();

    internal static async Task<HotTarball> StartAsync(int paddingBytes)
    {
        var hot = new HotTarball(await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken));
        hot.Registry.Publish(new FakePackage("left-pad").Version("1.0.0", version => version.PaddingBytes = paddingBytes));
        hot.Mirror = await ServedMirror.StartAsync(hot.Store, hot.Registry.Url, time: hot.Clock, blobs: hot.Blobs);

        // Once to fetch it, once to remember it.
        await hot.AskAsync();
        await Eventually.Async(async () => await hot.Store.Tarballs.FindTarballAsync(PackageName.Parse("left-pad"), "left-pad-1.0.0.tgz", TestContext.Current.CancellationToken) is { State: TarballState.Held });
        await hot.AskAsync();
        return hot;
    }

    /// <summary>The answer to one request.</summary>
    internal async Task<string> AskAsync() => (await RawTalk.TalkAsync(Mirror, Request + Last))[0];

    public async ValueTask DisposeAsync()
    {
        await Mirror.DisposeAsync();
        await Registry.DisposeAsync();
        await Store.DisposeAsync();
        Blobs.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
