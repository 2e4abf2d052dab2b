using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Log;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Stored tarballs that are answered on the connection itself.</summary>
public sealed class RememberedTarballTests : IAsyncLifetime
{
    private const string Host = "localhost:4873";
    private const string Hot = $"GET /npm/left-pad/-/left-pad-1.0.0.tgz HTTP/1.1\r\nHost: {Host}\r\nAccept: */*\r\n\r\n";
    private const string Last = $"GET /npm/-/ping HTTP/1.1\r\nHost: {Host}\r\nConnection: close\r\n\r\n";

    private readonly string _folder = Directory.CreateTempSubdirectory("npm-mirror-").FullName;
    private readonly MemoryStore _store = new(TimeProvider.System);
    private readonly FakeClock _clock = new();
    private FileBlobStore _blobs = null!;
    private FakeRegistry _registry = null!;
    private ServedMirror _mirror = null!;

    private byte[] Tarball => _registry.Tarballs["/left-pad/-/left-pad-1.0.0.tgz"];

    private string Blob => Directory.GetFiles(Path.Combine(_folder, "blobs"), new string('?', 128), SearchOption.AllDirectories).Single();

    public async ValueTask InitializeAsync()
    {
        _blobs = new FileBlobStore(_folder, NullLogger<FileBlobStore>.Instance);
        _registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        _registry.Publish(new FakePackage("left-pad").Version("1.0.0", version => version.PaddingBytes = 200_000));
        _mirror = await ServedMirror.StartAsync(_store, _registry.Url, time: _clock, blobs: _blobs);
        // Once to fetch it, once to remember it.
        await RawTalk.TalkAsync(_mirror, Hot + Last);
        await Eventually.Async(async () => await _store.Tarballs.FindTarballAsync(PackageName.Parse("left-pad"), "left-pad-1.0.0.tgz", TestContext.Current.CancellationToken) is { State: TarballState.Held });
        await RawTalk.TalkAsync(_mirror, Hot + Last);
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        await _registry.DisposeAsync();
        await _store.DisposeAsync();
        _blobs.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Claim("A stored tarball answered on the connection is the server's answer, to the byte; its client is recorded; a damaged or deleted file is fetched again; a blocked one is refused",
        With =
        [
            nameof(Gives_every_byte_without_the_server_and_records_the_client),
            nameof(A_file_that_was_deleted_or_cut_is_fetched_again),
            nameof(A_blocked_tarball_is_refused_by_the_next_request),
            nameof(A_block_by_another_process_is_refused_once_the_log_was_read),
        ],
        Red = "blocks not looked at; believed for ever; the file's length not compared; serving not written down")]
    [Theory]
    [InlineData("")]
    [InlineData("If-None-Match: *\r\n")]
    [InlineData("If-None-Match: \"other\"\r\n")]
    [InlineData("Range: bytes=10-19\r\n")]
    [InlineData("Range: bytes=-5\r\nIf-Range: \"other\"\r\n")]
    public async Task Says_the_same_as_the_server(string condition)
    {
        await using var plain = await ServedMirror.StartAsync(_store, _registry.Url, time: _clock, blobs: _blobs, isHot: false);
        var request = Hot.Replace("\r\n\r\n", $"\r\n{condition}\r\n", StringComparison.Ordinal);
        Assert.Equal(await RawTalk.TalkAsync(plain, request + request + Last), await RawTalk.TalkAsync(_mirror, request + request + Last));
    }

    [Fact]
    public async Task Gives_every_byte_without_the_server_and_records_the_client()
    {
        var before = _mirror.RequestsSeen;
        var answers = await RawTalk.TalkAsync(_mirror, Hot + Hot + Hot + Last);
        Assert.Equal(before + 1, _mirror.RequestsSeen);
        Assert.All(answers.Take(3), answer => Assert.EndsWith(Encoding.Latin1.GetString(Tarball), answer, StringComparison.Ordinal));
        _clock.Advance(TimeSpan.FromSeconds(2));
        await Eventually.Async(async () => await ServedAsync() == 5);
    }

    [Claim("Caches are told of each change in one way, for writes of any process; a stored tarball is answered on the connection also long after the last request",
        With = [nameof(A_blocked_tarball_is_refused_by_the_next_request), nameof(A_block_by_another_process_is_refused_once_the_log_was_read)],
        Red = "`PackageVisibility` does not subscribe to the news of changed packages")]
    [Fact]
    public async Task Is_given_without_the_server_to_one_that_comes_much_later()
    {
        _clock.Advance(TimeSpan.FromHours(1));
        var before = _mirror.RequestsSeen;
        Assert.EndsWith(Encoding.Latin1.GetString(Tarball), (await RawTalk.TalkAsync(_mirror, Hot + Last))[0], StringComparison.Ordinal);
        Assert.Equal(before + 1, _mirror.RequestsSeen);
    }

    [Fact]
    public async Task A_file_that_was_deleted_or_cut_is_fetched_again()
    {
        File.WriteAllBytes(Blob, Tarball[..1000]);
        Assert.EndsWith(Encoding.Latin1.GetString(Tarball), (await RawTalk.TalkAsync(_mirror, Hot + Last))[0], StringComparison.Ordinal);
        await Eventually.Async(() => new FileInfo(Blob).Length == Tarball.Length);
        await RawTalk.TalkAsync(_mirror, Hot + Last);
        File.Delete(Blob);
        Assert.EndsWith(Encoding.Latin1.GetString(Tarball), (await RawTalk.TalkAsync(_mirror, Hot + Last))[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_blocked_tarball_is_refused_by_the_next_request()
    {
        await _mirror.RemoveAsync("left-pad", RemovalKind.Blocked);
        _mirror.Mirror.News.TellChanged(PackageName.Parse("left-pad"));
        Assert.StartsWith("HTTP/1.1 451", (await RawTalk.TalkAsync(_mirror, Hot + Last))[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_block_by_another_process_is_refused_once_the_log_was_read()
    {
        await _mirror.RemoveAsync("left-pad", RemovalKind.Blocked);
        await _mirror.SettleAsync();
        Assert.StartsWith("HTTP/1.1 451", (await RawTalk.TalkAsync(_mirror, Hot + Last))[0], StringComparison.Ordinal);
    }

    private async Task<long> ServedAsync()
    {
        var count = 0L;
        await foreach (var access in _store.Tarballs.ListAccessAsync(PackageName.Parse("left-pad"), null, TestContext.Current.CancellationToken))
        {
            count += access.Count;
        }

        return count;
    }
}
