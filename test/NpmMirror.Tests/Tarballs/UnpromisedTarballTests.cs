using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Tarballs;
using NpmMirror.Tests.Storage;
using NpmMirror.Tests.Upstream;

namespace NpmMirror.Tests.Tarballs;

/// <summary>Tarballs that no hash is promised for: a tar archive, in a whole gzip file or bare, is kept, and nothing else.</summary>
public sealed class UnpromisedTarballTests
{
    private static readonly byte[] Tar = TarOf(TarballScene.Bytes(200_000));
    private static readonly byte[] Whole = Gzip(Tar);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string, string?, string?> WrongBodies
    {
        get
        {
            var data = new TheoryData<string, string?, string?>();
            foreach (var body in new[] { "html", "html in gzip", "json", "json in gzip", "long page in gzip", "zeros in gzip", "empty", "nothing inside", "cut tar", "a wrong sum", "cut", "cut in its last bytes", "cut after its head", "second member cut", "damaged" })
            {
                data.Add(body, null, null);
            }

            data.Add("html", "sha3-AAAA", null);
            data.Add("html", "", " ");
            return data;
        }
    }

    [Claim("Without a promised hash only a tar archive, alone or in a whole gzip file, is kept and ends as an answer, with a full disk too; a hash that is promised later is compared with it, and a tarball that does not fit is fetched again",
        With =
        [
            nameof(A_whole_tar_archive_is_kept_as_it_came),
            nameof(Bytes_that_a_hash_is_promised_for_need_not_be_gzip),
            nameof(A_reader_of_a_cut_one_is_told_before_it_has_all),
            nameof(With_a_full_disk_too_a_wrong_one_is_an_error),
            nameof(With_a_full_disk_a_right_one_goes_through),
            nameof(A_right_hash_that_is_promised_later_ends_the_doubt),
            nameof(Bytes_that_a_later_promise_does_not_name_are_replaced),
            nameof(Unpacked_bytes_have_a_limit),
            nameof(Bytes_after_the_verdict_are_taken_and_dropped),
        ],
        Red = "`TarballFetch` and `TarballPassThrough` make no `TarCheck`; any first block passes (`TarShape.IsTar`); `CheckPromiseAsync` raises the alarm and keeps them")]
    [Theory]
    [MemberData(nameof(WrongBodies))]
    public async Task A_body_that_is_no_whole_tar_archive_is_an_error_and_not_kept(string body, string? integrity, string? shasum)
    {
        var clock = new FakeClock();
        var bytes = BodyOf(body);
        await using var scene = new TarballScene((request, stream, token) => UntilClosed(bytes)(request, stream, token), clock);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => scene.FetchAsync(new TarballPromise(integrity, shasum)));
        Assert.Equal((MirrorFault.UpstreamMalformed, true), (failure.Fault, failure.IsTransient));
        Assert.Contains("must be a tar archive", failure.Message, StringComparison.Ordinal);
        await scene.SettleAsync();
        Assert.Empty(await scene.ListBlobsAsync());
        Assert.Equal(0, scene.UnfinishedFiles);
        Assert.Equal(TarballState.Corrupt, (await scene.RowAsync())!.State);

        bytes = Whole;
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(Whole, await scene.FetchAsync(new TarballPromise(integrity, shasum)));
        await scene.SettleAsync();
        Assert.Equal(TarballState.Held, (await scene.RowAsync())!.State);
    }

    [Theory]
    [InlineData("one member")]
    [InlineData("two members")]
    [InlineData("padding")]
    [InlineData("small")]
    [InlineData("bare")]
    [InlineData("old tar")]
    [InlineData("pax")]
    public async Task A_whole_tar_archive_is_kept_as_it_came(string shape)
    {
        var bytes = shape switch
        {
            "two members" => [.. Whole, .. Gzip([1])],
            "padding" => [.. Whole, .. new byte[10_240]],
            "small" => Gzip(TarOf([1])),
            "bare" => Tar,
            "old tar" => Gzip(TarOf([1], TarEntryFormat.V7)),
            "pax" => Gzip(TarOf([1], TarEntryFormat.Pax)),
            _ => Whole,
        };
        await using var scene = new TarballScene(UntilClosed(bytes));
        Assert.Equal(bytes, await scene.FetchAsync(new TarballPromise(null, null)));
        await scene.SettleAsync();
        var row = await scene.RowAsync();
        Assert.Equal((TarballState.Held, new Digest(SHA512.HashData(bytes))), (row!.State, row.Sha512));
        Assert.Contains("no hash", row.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bytes_that_a_hash_is_promised_for_need_not_be_gzip()
    {
        var bytes = TarballScene.Bytes(1000);
        await using var scene = new TarballScene(TarballScene.Whole(bytes));
        Assert.Equal(bytes, await scene.FetchAsync(TarballScene.PromiseOf(bytes)));
    }

    [Fact]
    public async Task A_reader_of_a_cut_one_is_told_before_it_has_all()
    {
        await using var scene = new TarballScene(UntilClosed(Whole[..150_000]));
        await using var reading = await scene.OpenReadingAsync(new TarballPromise(null, null));
        Assert.Equal(MirrorFault.UpstreamMalformed, (await Assert.ThrowsAsync<MirrorException>(() => TarballScene.ReadToEndAsync(reading))).Fault);
    }

    [Theory]
    [InlineData("html")]
    [InlineData("cut")]
    public async Task With_a_full_disk_too_a_wrong_one_is_an_error(string body)
    {
        await using var scene = new TarballScene(UntilClosed(BodyOf(body)), wrap: files => new FullDisk(files));
        await Assert.ThrowsAsync<MirrorException>(() => scene.FetchAsync(new TarballPromise(null, null)));
    }

    [Fact]
    public async Task With_a_full_disk_a_right_one_goes_through()
    {
        await using var scene = new TarballScene(UntilClosed(Whole), wrap: files => new FullDisk(files));
        Assert.Equal(Whole, await scene.FetchAsync(new TarballPromise(null, null)));
    }

    [Fact]
    public async Task A_right_hash_that_is_promised_later_ends_the_doubt()
    {
        await using var scene = new TarballScene(UntilClosed(Whole));
        await scene.FetchAsync(new TarballPromise(null, null));
        await scene.SettleAsync();
        Assert.True(await scene.Downloads.CheckPromiseAsync(TarballScene.Package, "1.0.0", new TarballPromise(null, null), Cancelled));
        Assert.NotNull((await scene.RowAsync())!.Problem);
        Assert.True(await scene.Downloads.CheckPromiseAsync(TarballScene.Package, "1.0.0", TarballScene.PromiseOf(Whole), Cancelled));
        Assert.Null((await scene.RowAsync())!.Problem);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Bytes_that_a_later_promise_does_not_name_are_replaced(bool isNoticedBySync)
    {
        var (before, after) = (Whole, Gzip(TarOf([1, 2, 3])));
        var sent = before;
        await using var scene = new TarballScene((request, stream, token) => UntilClosed(sent)(request, stream, token));
        await scene.FetchAsync(new TarballPromise(null, null));
        await scene.SettleAsync();
        sent = after;
        if (isNoticedBySync)
        {
            Assert.False(await scene.Downloads.CheckPromiseAsync(TarballScene.Package, "1.0.0", TarballScene.PromiseOf(after), Cancelled));
            Assert.Null(await scene.Downloads.OpenStoredAsync(TarballScene.Package, "left-pad-1.0.0.tgz", Cancelled));
        }

        Assert.Equal(after, await scene.FetchAsync(isNoticedBySync ? TarballScene.PromiseOf(after) : new TarballPromise("sha384-" + Convert.ToBase64String(SHA384.HashData(after)), null)));
        await scene.SettleAsync();
        var row = await scene.RowAsync();
        Assert.Equal((new Digest(SHA512.HashData(after)), null), (row!.Sha512, row.Problem));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(-1, false)]
    public async Task Unpacked_bytes_have_a_limit(int more, bool isRight)
    {
        using var check = new TarCheck(Tar.Length + more);
        await check.AppendAsync(Whole, Cancelled);
        Assert.Equal(isRight, await check.FinishAsync(Cancelled) is null);
    }

    [Fact]
    public async Task Bytes_after_the_verdict_are_taken_and_dropped()
    {
        using var check = new TarCheck();
        for (var i = 0; i < 100; i++)
        {
            await check.AppendAsync(TarballScene.Bytes(100_000), Cancelled);
        }

        Assert.NotNull(await check.FinishAsync(Cancelled));
    }

    private static byte[] BodyOf(string body) => body switch
    {
        "html" => "<html>Please log in</html>"u8.ToArray(),
        "json" => """{"error":"try later"}"""u8.ToArray(),
        "html in gzip" => Gzip("<html>Please log in</html>"u8.ToArray()),
        "json in gzip" => Gzip("""{"error":"try later"}"""u8.ToArray()),
        "long page in gzip" => Gzip([.. Enumerable.Repeat((byte)'0', 2000)]),
        "zeros in gzip" => Gzip(new byte[2000]),
        "cut tar" => Tar[..^1024],
        "a wrong sum" => Gzip([(byte)(Tar[0] ^ 1), .. Tar[1..]]),
        "empty" => [],
        "nothing inside" => Gzip([]),
        "cut" => Whole[..60_000],
        "cut in its last bytes" => Whole[..^4],
        "cut after its head" => Whole[..10],
        "second member cut" => [.. Whole, .. Whole[..1000]],
        _ => [.. Whole[..100_000], (byte)(Whole[100_000] ^ 1), .. Whole[100_001..]],
    };

    private static byte[] TarOf(byte[] content, TarEntryFormat format = TarEntryFormat.Ustar)
    {
        using var archive = new MemoryStream();
        using (var writer = new TarWriter(archive, format, leaveOpen: true))
        {
            TarEntry entry = format switch
            {
                TarEntryFormat.V7 => new V7TarEntry(TarEntryType.V7RegularFile, "package/index.js"),
                TarEntryFormat.Pax => new PaxTarEntry(TarEntryType.RegularFile, "package/index.js"),
                _ => new UstarTarEntry(TarEntryType.RegularFile, "package/index.js"),
            };
            entry.DataStream = new MemoryStream(content);
            writer.WriteEntry(entry);
        }

        return archive.ToArray();
    }

    private static byte[] Gzip(byte[] bytes)
    {
        using var coded = new MemoryStream();
        using (var gzip = new GZipStream(coded, CompressionLevel.Fastest, leaveOpen: true))
        {
            // Also for no bytes at all a whole file: .NET writes none then.
            gzip.Write(bytes);
        }

        return coded.Length > 0 ? coded.ToArray() : [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    }

    /// <summary>Answers without a length, so that the end of the connection is the end of the body.</summary>
    private static Func<PeerRequest, Stream, CancellationToken, Task> UntilClosed(byte[] bytes) => async (_, stream, cancellationToken) =>
    {
        await stream.WriteAsync(TarballScene.Head("Connection: close\r\n"), cancellationToken);
        await stream.WriteAsync(bytes, cancellationToken);
    };
}
