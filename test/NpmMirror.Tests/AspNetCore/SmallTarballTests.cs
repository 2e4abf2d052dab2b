using System.Text;
using Microsoft.Extensions.DependencyInjection;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Log;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Small stored tarballs that are asked for often: their bytes are held.</summary>
public sealed class SmallTarballTests : IAsyncLifetime
{
    private HotTarball _hot = null!;

    private int HeldCount => _hot.Mirror.Services.GetRequiredService<AnswerMemory>().SmallFiles.Count;

    public async ValueTask InitializeAsync() => _hot = await HotTarball.StartAsync(paddingBytes: 20_000);

    public ValueTask DisposeAsync() => _hot.DisposeAsync();

    [Claim("The bytes of a small tarball that is asked for often are held, and given only while its file is unchanged and may be served",
        With =
        [
            nameof(Seldom_asked_ones_are_not_held),
            nameof(A_changed_file_is_not_answered_from_memory),
            nameof(A_blocked_one_is_refused_by_the_next_request),
        ],
        Red = "`SmallFiles.Find` gives the bytes without a look at the file")]
    [Fact]
    public async Task Often_asked_ones_are_read_once()
    {
        var writtenAt = File.GetLastWriteTimeUtc(_hot.Blob);
        await _hot.AskAsync();
        Assert.Equal(0, HeldCount);
        await _hot.AskAsync();
        Assert.Equal(1, HeldCount);

        // Other bytes, of the same length and time: only a reader of the file would see them.
        File.WriteAllBytes(_hot.Blob, new byte[_hot.Bytes.Length]);
        File.SetLastWriteTimeUtc(_hot.Blob, writtenAt);
        var before = _hot.Mirror.RequestsSeen;
        Assert.EndsWith(Encoding.Latin1.GetString(_hot.Bytes), await _hot.AskAsync(), StringComparison.Ordinal);
        Assert.Equal(before + 1, _hot.Mirror.RequestsSeen);
    }

    [Fact]
    public async Task Seldom_asked_ones_are_not_held()
    {
        for (var i = 0; i < 3; i++)
        {
            _hot.Clock.Advance(TimeSpan.FromSeconds(1));
            Assert.EndsWith(Encoding.Latin1.GetString(_hot.Bytes), await _hot.AskAsync(), StringComparison.Ordinal);
        }

        Assert.Equal(0, HeldCount);
    }

    [Fact]
    public async Task A_changed_file_is_not_answered_from_memory()
    {
        await HoldAsync();
        File.WriteAllBytes(_hot.Blob, new byte[_hot.Bytes.Length]);
        File.SetLastWriteTimeUtc(_hot.Blob, DateTime.UnixEpoch);
        Assert.EndsWith(new string('\0', _hot.Bytes.Length), await _hot.AskAsync(), StringComparison.Ordinal);

        File.WriteAllBytes(_hot.Blob, _hot.Bytes[..1000]);
        Assert.EndsWith(Encoding.Latin1.GetString(_hot.Bytes), await _hot.AskAsync(), StringComparison.Ordinal);
        await Eventually.Async(() => new FileInfo(_hot.Blob).Length == _hot.Bytes.Length);
        await HoldAsync();

        File.Delete(_hot.Blob);
        var before = _hot.Mirror.RequestsSeen;
        Assert.EndsWith(Encoding.Latin1.GetString(_hot.Bytes), await _hot.AskAsync(), StringComparison.Ordinal);
        Assert.Equal(before + 2, _hot.Mirror.RequestsSeen);
    }

    [Fact]
    public async Task A_blocked_one_is_refused_by_the_next_request()
    {
        await HoldAsync();
        await _hot.Mirror.RemoveAsync("left-pad", RemovalKind.Blocked);
        _hot.Mirror.Mirror.News.TellChanged(PackageName.Parse("left-pad"), 2);
        Assert.StartsWith("HTTP/1.1 451", await _hot.AskAsync(), StringComparison.Ordinal);
    }

    private async Task HoldAsync() => await Eventually.Async(async () =>
    {
        await _hot.AskAsync();
        return HeldCount == 1;
    });
}
