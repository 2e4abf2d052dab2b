using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.Storage;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Clients that ask for much and take nothing, or promise a body and do not send it.</summary>
public sealed class StalledClientTests
{
    private const int StepBytes = 64 * 1024;
    private const string Tarball = "ms/-/ms-1.0.0.tgz";

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string, bool, bool> Bodies()
    {
        var data = new TheoryData<string, bool, bool>();
        foreach (var path in (string[])[Tarball, "long", "longest"])
        {
            data.Add(path, true, false);
            data.Add(path, true, true);
            data.Add(path, false, true);
        }

        return data;
    }

    [Claim("A client that takes nothing of a tarball or a packument for 30 s is cut off, on the connection, by the server and with a file between, and so is one whose own body does not come",
        With = [nameof(A_body_that_does_not_come_is_not_waited_for)])]
    [Trait("Duration", "long")]
    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task A_client_that_takes_nothing_of_a_long_body_is_cut_off(string path, bool isHot, bool isKnown)
    {
        using var folder = new TestFolder();
        using var blobs = new FileBlobStore(folder.Path, NullLogger<FileBlobStore>.Instance);
        var clock = new FakeClock();
        await using var mirror = await ServedMirror.StartAsync(time: clock, blobs: blobs, isHot: isHot, configure: options => options.Data = folder.Path);
        await FillAsync(mirror, blobs, clock);
        var uri = new Uri(path, UriKind.Relative);
        for (var i = 0; isKnown && i < 2; i++)
        {
            // The next request is answered from memory, or from the file itself.
            Assert.True((await mirror.Client.GetByteArrayAsync(uri, Cancelled)).Length > 5_000_000);
        }

        // Waits of others that began before are shorter than a stall now.
        clock.Advance(TimeSpan.FromSeconds(7));
        using var socket = await RawTalk.ConnectAsync(mirror, receiveBytes: 4096);
        await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /npm/{path} HTTP/1.1\r\nHost: {mirror.Address.Authority}\r\n\r\n"), Cancelled);
        await Eventually.Async(() => socket.Available > 0);
        await Eventually.Async(() =>
        {
            clock.Advance(StallLimit.LookEvery);
            return IsBroken(socket);
        });
    }

    [Claim("A client that reads a few KB/s all the time is never cut off, on the connection, by the server and with a file between; one that stalls is cut off and told of once",
        With =
        [
            $"{nameof(StallLimitTests)}.{nameof(StallLimitTests.A_client_that_stalls_is_cut_once_and_told_of_once)}",
            $"{nameof(StallLimitTests)}.{nameof(StallLimitTests.A_write_of_which_nothing_can_be_seen_may_take_as_long_as_a_stall)}",
        ],
        Red = "`StallLimit.ReadTaken` is always null: all cases of the first were red")]
    [Trait("Duration", "long")]
    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task A_client_that_reads_slowly_all_the_time_is_never_cut_off(string path, bool isHot, bool isKnown)
    {
        using var folder = new TestFolder();
        using var blobs = new FileBlobStore(folder.Path, NullLogger<FileBlobStore>.Instance);
        var clock = new FakeClock();
        await using var mirror = await ServedMirror.StartAsync(time: clock, blobs: blobs, isHot: isHot, configure: options => options.Data = folder.Path);
        await FillAsync(mirror, blobs, clock);
        for (var i = 0; isKnown && i < 2; i++)
        {
            Assert.True((await mirror.Client.GetByteArrayAsync(new Uri(path, UriKind.Relative), Cancelled)).Length > 5_000_000);
        }

        // Waits of others that began before are shorter now.
        clock.Advance(TimeSpan.FromSeconds(7));
        using var socket = await RawTalk.ConnectAsync(mirror, receiveBytes: 4096);
        await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /npm/{path} HTTP/1.1\r\nHost: {mirror.Address.Authority}\r\n\r\n"), Cancelled);
        await Eventually.Async(() => clock.HasTimerBetween(StallLimit.LookEvery, StallLimit.LookEvery));
        await using var stream = new NetworkStream(socket);
        var begin = new byte[StepBytes];
        await stream.ReadExactlyAsync(begin, Cancelled);
        var head = Encoding.ASCII.GetString(begin).Split("\r\n\r\n")[0];
        var left = head.Length + 4 + int.Parse(Regex.Match(head, "Content-Length: ([0-9]+)").Groups[1].ValueSpan, CultureInfo.InvariantCulture) - StepBytes;
        for (var spent = TimeSpan.Zero; spent < 6 * StallLimit.StallMax; spent += 5 * StallLimit.LookEvery)
        {
            // 25 s go by for every piece: some 2.6 KB/s, far less than the kernel frees before it takes more.
            clock.Advance(5 * StallLimit.LookEvery);
            await stream.ReadExactlyAsync(begin, Cancelled);
            left -= StepBytes;
        }

        Assert.InRange(left, 4_000_000, int.MaxValue);
        await stream.ReadExactlyAsync(new byte[left], Cancelled);
    }

    [Theory]
    [InlineData("_bulk_get")]
    [InlineData("_all_docs")]
    [InlineData("_changes?filter=_doc_ids")]
    [InlineData("-/npm/v1/security/advisories/bulk")]
    public async Task A_body_that_does_not_come_is_not_waited_for(string path)
    {
        var clock = new FakeClock();
        await using var mirror = await ServedMirror.StartAsync(time: clock);
        clock.Advance(TimeSpan.FromSeconds(7));
        using var socket = await RawTalk.ConnectAsync(mirror);
        await socket.SendAsync(Encoding.ASCII.GetBytes($"POST /npm/{path} HTTP/1.1\r\nHost: {mirror.Address.Authority}\r\nContent-Type: application/json\r\nContent-Length: 3000000\r\n\r\n{{\"docs\":["), Cancelled);
        await Eventually.Async(() => clock.HasTimerBetween(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(30)));
        clock.Advance(TimeSpan.FromSeconds(31));
        var answer = new byte[4096];
        var read = await socket.ReceiveAsync(answer, Cancelled).AsTask().WaitAsync(TimeSpan.FromSeconds(60), Cancelled);
        // 408: the server's own limit on the rate of bodies was first; it goes by the real clock.
        Assert.Matches("^HTTP/1.1 (408|503) ", Encoding.ASCII.GetString(answer, 0, read));
    }

    private static async Task FillAsync(ServedMirror mirror, FileBlobStore blobs, FakeClock clock)
    {
        await using var writer = await blobs.CreateAsync(Cancelled);
        await writer.AppendAsync(Random(8_000_000), Cancelled);
        var sha512 = await writer.CommitAsync(Cancelled);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        await mirror.Store.Tarballs.PutTarballAsync(new TarballRow { Package = PackageName.Parse("ms"), File = "ms-1.0.0.tgz", Version = "1.0.0", State = TarballState.Held, Sha512 = sha512, SizeBytes = 8_000_000, VerifiedAt = clock.GetUtcNow() }, Cancelled);

        // The longest is made in a file: see RenditionCache.IsSpilled.
        await mirror.PutAsync("long", Documents.Of("long", Convert.ToHexString(Random(3_000_000))));
        await mirror.PutAsync("longest", Documents.Of("longest", Convert.ToHexString(Random(5_000_000))));
        await mirror.SettleAsync();
    }

    private static byte[] Random(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    // Nothing is taken from the socket: only that it was broken off shows.
    private static bool IsBroken(Socket socket) => socket.Poll(0, SelectMode.SelectError) || (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)! != 0;
}
