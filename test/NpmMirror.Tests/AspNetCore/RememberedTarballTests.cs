using System.Text;
using NpmMirror.Log;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Stored tarballs that are answered on the connection itself.</summary>
public sealed class RememberedTarballTests : IAsyncLifetime
{
    private HotTarball _hot = null!;

    public async ValueTask InitializeAsync() => _hot = await HotTarball.StartAsync(paddingBytes: 200_000);

    public ValueTask DisposeAsync() => _hot.DisposeAsync();

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
        await using var plain = await ServedMirror.StartAsync(_hot.Store, _hot.Registry.Url, time: _hot.Clock, blobs: _hot.Blobs, isHot: false);
        var request = HotTarball.Request.Replace("\r\n\r\n", $"\r\n{condition}\r\n", StringComparison.Ordinal);
        Assert.Equal(await RawTalk.TalkAsync(plain, request + request + HotTarball.Last), await RawTalk.TalkAsync(_hot.Mirror, request + request + HotTarball.Last));
    }

    [Fact]
    public async Task Gives_every_byte_without_the_server_and_records_the_client()
    {
        var before = _hot.Mirror.RequestsSeen;
        var answers = await RawTalk.TalkAsync(_hot.Mirror, HotTarball.Request + HotTarball.Request + HotTarball.Request + HotTarball.Last);
        Assert.Equal(before + 1, _hot.Mirror.RequestsSeen);
        Assert.All(answers.Take(3), answer => Assert.EndsWith(Encoding.Latin1.GetString(_hot.Bytes), answer, StringComparison.Ordinal));
        _hot.Clock.Advance(TimeSpan.FromSeconds(2));
        await Eventually.Async(async () => await ServedAsync() == 5);
    }

    [Claim("Caches are told of each change in one way, for writes of any process; a stored tarball is answered on the connection also long after the last request",
        With = [nameof(A_blocked_tarball_is_refused_by_the_next_request), nameof(A_block_by_another_process_is_refused_once_the_log_was_read)],
        Red = "`PackageVisibility` does not subscribe to the news of changed packages")]
    [Fact]
    public async Task Is_given_without_the_server_to_one_that_comes_much_later()
    {
        _hot.Clock.Advance(TimeSpan.FromHours(1));
        var before = _hot.Mirror.RequestsSeen;
        Assert.EndsWith(Encoding.Latin1.GetString(_hot.Bytes), await _hot.AskAsync(), StringComparison.Ordinal);
        Assert.Equal(before + 1, _hot.Mirror.RequestsSeen);
    }

    [Fact]
    public async Task A_file_that_was_deleted_or_cut_is_fetched_again()
    {
        File.WriteAllBytes(_hot.Blob, _hot.Bytes[..1000]);
        Assert.EndsWith(Encoding.Latin1.GetString(_hot.Bytes), await _hot.AskAsync(), StringComparison.Ordinal);
        await Eventually.Async(() => new FileInfo(_hot.Blob).Length == _hot.Bytes.Length);
        await _hot.AskAsync();
        File.Delete(_hot.Blob);
        Assert.EndsWith(Encoding.Latin1.GetString(_hot.Bytes), await _hot.AskAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_blocked_tarball_is_refused_by_the_next_request()
    {
        await _hot.Mirror.RemoveAsync("left-pad", RemovalKind.Blocked);
        _hot.Mirror.Mirror.News.TellChanged(PackageName.Parse("left-pad"), 2);
        Assert.StartsWith("HTTP/1.1 451", await _hot.AskAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_block_by_another_process_is_refused_once_the_log_was_read()
    {
        await _hot.Mirror.RemoveAsync("left-pad", RemovalKind.Blocked);
        await _hot.Mirror.SettleAsync();
        Assert.StartsWith("HTTP/1.1 451", await _hot.AskAsync(), StringComparison.Ordinal);
    }

    private async Task<long> ServedAsync()
    {
        var count = 0L;
        await foreach (var access in _hot.Store.Tarballs.ListAccessAsync(PackageName.Parse("left-pad"), null, TestContext.Current.CancellationToken))
        {
            count += access.Count;
        }

        return count;
    }
}
