using System.IO.Compression;
using System.Text;
using NpmMirror.Feeds;
using NpmMirror.Upstream;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace NpmMirror.Tests.Upstream;

/// <summary>Content codings of a body: read as npm reads them, or refused.</summary>
public sealed class BodyCodingTests
{
    // Long enough for several blocks, and nothing in it is a repetition.
    private static readonly byte[] Plain = Encoding.UTF8.GetBytes($$"""{"name":"x","padding":"{{string.Concat(Enumerable.Range(0, 300).Select(i => i * 7919L * 104729L))}}"}""");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Shapes => new()
    {
        { "gzip", "gzip" },
        { "X-GZip", "gzip" },
        { "gzip", "gzip of two members" },
        { "gzip", "gzip with zeros after it" },
        { "gzip", "gzip with text after it" },
        { "br", "br" },
        { "zstd", "zstd" },
        { "zstd", "zstd of two frames" },
        { "deflate", "zlib" },
        { "x-deflate", "zlib" },
        { "deflate", "raw deflate" },
        { "deflate", "raw deflate, stored" },
        { "gzip, gzip", "gzip in gzip" },
        { "br, gzip", "br in gzip" },
        { "identity, gzip,, ", "gzip" },
    };

    [Claim("Codings are read as npm reads them: gzip of several members or with padding, raw deflate, names in any case; a tarball with a coding on top is the file below it",
        With =
        [
            nameof(A_tarball_is_the_file_with_any_claimed_coding),
            nameof(A_coding_that_decodes_to_nothing_for_long_ends),
            nameof(A_coding_that_decodes_to_nothing_is_not_read_on_for_a_first_byte),
        ],
        Red = "`DecodedStream` takes every deflate for zlib's, ends gzip without a look for a next member, or `BodyCodings.Find` knows names in lower case only: the first was red; `CodedFileStream` never takes a coding off: the second; it reads on for ever for a first byte: the last")]
    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task Reads_every_shape_whole_in_pieces_of_any_length(string header, string shape)
    {
        foreach (var pieceBytes in new[] { 1, 7, 100_000 })
        {
            Assert.Equal(Plain, await DecodeAsync(header, Coded(shape), pieceBytes));
        }
    }

    [Theory]
    [InlineData("gzip", "gzip")]
    [InlineData("br", "br")]
    [InlineData("zstd", "zstd")]
    [InlineData("deflate", "zlib")]
    [InlineData("deflate", "raw deflate")]
    [InlineData("deflate", "raw deflate, stored")]
    [InlineData("gzip, gzip", "gzip in gzip")]
    public async Task No_cut_is_taken_for_whole(string header, string shape)
    {
        var coded = Coded(shape);
        for (var length = 1; length < coded.Length; length++)
        {
            await AssertCutAsync(header, coded[..length], Plain, length);
        }
    }

    [Fact]
    public async Task No_cut_of_a_later_member_is_taken_for_whole()
    {
        var (first, second) = (Coded("gzip"), Coded("gzip"));
        for (var length = 1; length < second.Length; length++)
        {
            await AssertCutAsync("gzip", [.. first, .. second[..length]], [.. Plain, .. Plain], length);
        }
    }

    [Theory]
    [InlineData(0x04, "ffff")]
    [InlineData(0x08, "6e61")]
    [InlineData(0x10, "636f")]
    public async Task A_gzip_head_that_was_cut_within_a_member_of_any_length_is_cut(byte flags, string rest)
    {
        byte[] head = [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3, .. Convert.FromHexString(rest)];
        foreach (var pieceBytes in new[] { 1, 100 })
        {
            await Assert.ThrowsAnyAsync<Exception>(() => DecodeAsync("gzip", head, pieceBytes));
        }
    }

    [Fact]
    public async Task A_body_of_no_bytes_is_an_empty_one()
    {
        Assert.Empty(await DecodeAsync("gzip", [], 1));
        Assert.Empty(await DecodeAsync("br, deflate", [], 1));
        Assert.Empty(await DecodeAsync("deflate", [], 1));
    }

    [Claim("A body that is done with is closed, read or not, whatever its codings",
        Red = "`DecodedStream` does not close what it reads: its decoder, or the body below a decoder that was never opened")]
    [Theory]
    [InlineData("gzip", "gzip")]
    [InlineData("br", "br")]
    [InlineData("zstd", "zstd")]
    [InlineData("deflate", "zlib")]
    [InlineData("deflate", "raw deflate")]
    [InlineData("gzip, gzip", "gzip in gzip")]
    public async Task A_body_is_closed_with_the_stream_that_takes_its_coding_off(string header, string shape)
    {
        foreach (var isRead in new[] { false, true })
        {
            var body = new Pieces(Coded(shape), 100);
            await using (var decoded = BodyCodings.Parse([header]).TakeOff(body))
            {
                if (isRead)
                {
                    Assert.NotEqual(0, await decoded.ReadAsync(new byte[10], Cancelled));
                }
            }

            Assert.False(body.CanRead);
        }
    }

    [Fact]
    public async Task A_raw_deflate_that_begins_like_zlib_s_checksum_is_read()
    {
        // Whatever its first two bytes are: those of some are a multiple of 31.
        foreach (var i in Enumerable.Range(0, 400))
        {
            var plain = Encoding.UTF8.GetBytes($"{i * 7919} {i}");
            Assert.Equal(plain, await DecodeAsync("deflate", Compress("raw deflate", plain), 100));
        }
    }

    [Fact]
    public async Task A_raw_deflate_that_begins_with_zlib_s_method_is_read()
    {
        // A stored block: the bits up to its length mean nothing, and one of them makes the first byte end with 8.
        byte[] coded = [0x08, 0x05, 0x00, 0xfa, 0xff, .. "hello"u8, 0x03, 0x00];
        Assert.Equal("hello"u8.ToArray(), await DecodeAsync("deflate", coded, 100));
    }

    [Fact]
    public async Task A_gzip_of_nothing_that_lacks_its_end_is_cut()
    {
        var empty = Compress("gzip", []);
        for (var length = 11; length < empty.Length; length++)
        {
            await Assert.ThrowsAnyAsync<Exception>(() => DecodeAsync("gzip", empty[..length], 4096));
        }
    }

    [Fact]
    public async Task A_hundred_thousand_empty_members_are_a_long_way_to_nothing()
    {
        var empty = Compress("gzip", []);
        Assert.Empty(await DecodeAsync("gzip", [.. Enumerable.Repeat(empty, 100_000).SelectMany(member => member)], 64 * 1024));
    }

    [Claim("A zstd body whose window is larger than the 8 MB of RFC 9659 is refused",
        Red = "the decoder's `ZSTD_d_windowLogMax` is 27")]
    [Theory]
    [InlineData(23, true)]
    [InlineData(24, false)]
    [InlineData(27, false)]
    public async Task A_zstd_window_of_more_than_8_MB_is_refused(int windowLog, bool isRead)
    {
        using var coded = new MemoryStream();
        await using (var encoder = new CompressionStream(coded))
        {
            encoder.SetParameter(ZSTD_cParameter.ZSTD_c_windowLog, windowLog);
            encoder.Write(Plain);
        }

        var decoding = DecodeAsync("zstd", coded.ToArray(), 100_000);
        if (isRead)
        {
            Assert.Equal(Plain, await decoding);
        }
        else
        {
            await Assert.ThrowsAsync<InvalidDataException>(() => decoding);
        }
    }

    [Claim("A body has at most two content codings, wherever it comes from: packument, tarball, forwarded answer, information, page, explanation",
        With = [nameof(Too_many_codings_of_an_explanation_hide_the_explanation_only)],
        Red = "`BodyCodings.CodingsMax` is 3")]
    [Theory]
    [InlineData("gzip, gzip, gzip")]
    [InlineData("deflate,gzip, br")]
    [InlineData("gzip\r\nContent-Encoding: br\r\nContent-Encoding: gzip")]
    [InlineData("gzip, GZIP, compress")]
    [InlineData("12,000 times")]
    public async Task More_than_two_codings_are_refused_in_any_answer(string header)
    {
        var codings = header == "12,000 times" ? string.Join(',', Enumerable.Repeat("gzip", 12_000)) : header;
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(200, "xxxxxxxxxxxxxxxxxxxx", $"Content-Type: application/json\r\nContent-Encoding: {codings}\r\n"));
        using var client = RegistryClientTests.Client(peer);
        var feed = new LiveChangeFeed(client, peer.Url, new FeedOptions());
        var asked = new Dictionary<string, Func<Task>>
        {
            ["packument"] = () => client.GetPackumentAsync(PackageName.Parse("x"), default, isCacheBusted: false, Cancelled),
            ["tarball"] = () => client.OpenTarballAsync(new Uri(peer.Url, "x.tgz"), Cancelled),
            ["forwarded"] = () => client.ForwardAsync(RequestPurpose.Search, HttpMethod.Get, "/-/v1/search", null, TimeSpan.FromSeconds(30), Cancelled),
            ["information"] = () => feed.GetInfoAsync(Cancelled),
            ["page"] = () => feed.ReadAsync(Sequence.Zero, null, Cancelled).FirstAsync(Cancelled).AsTask(),
        };
        foreach (var (what, ask) in asked)
        {
            var failure = await Assert.ThrowsAsync<MirrorException>(ask);
            Assert.True(failure.Message.Contains("more than 2 content codings", StringComparison.Ordinal), $"{what}: {failure.Message}");
        }
    }

    [Fact]
    public async Task Too_many_codings_of_an_explanation_hide_the_explanation_only()
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(404, """{"error":"x"}""", $"Content-Encoding: {string.Join(',', Enumerable.Repeat("br", 9_000))}\r\n"));
        using var client = RegistryClientTests.Client(peer);
        Assert.Equal(new PackumentAnswer.Absent(404, null), await client.GetPackumentAsync(PackageName.Parse("x"), default, isCacheBusted: false, Cancelled));
    }

    [Theory]
    [InlineData("gzip", "gzip", true)]
    [InlineData("br", "br", true)]
    [InlineData("zstd", "zstd", true)]
    [InlineData("deflate", "raw deflate", true)]
    [InlineData("gzip, gzip", "gzip in gzip", true)]
    [InlineData("gzip", "as it is", false)]
    [InlineData("br", "as it is", false)]
    [InlineData("zstd", "as it is", false)]
    [InlineData("deflate", "as it is", false)]
    [InlineData("aws-chunked", "as it is", false)]
    [InlineData("", "as it is", false)]
    public async Task A_tarball_is_the_file_with_any_claimed_coding(string header, string shape, bool isOnTop)
    {
        var file = Compress("gzip", Plain);
        var sent = isOnTop ? Coded(shape, file) : file;
        await using var peer = Peer(header, sent);
        using var client = RegistryClientTests.Client(peer);
        var opened = Assert.IsType<TarballAnswer.Opened>(await client.OpenTarballAsync(new Uri(peer.Url, "x.tgz"), Cancelled));
        using var _ = opened.Response;
        Assert.Equal(file, await ReadAsync(opened.Body, 1_000));
        Assert.True(opened.LengthBytes is not { } length || length == file.Length);
    }

    [Fact]
    public async Task A_tarball_whose_coding_was_cut_is_never_whole()
    {
        var file = Compress("gzip", Plain);
        var sent = Coded("gzip", file);
        for (var length = 1; length < sent.Length; length += 97)
        {
            await using var peer = Peer("gzip", sent[..length]);
            using var client = RegistryClientTests.Client(peer);
            var opened = Assert.IsType<TarballAnswer.Opened>(await client.OpenTarballAsync(new Uri(peer.Url, "x.tgz"), Cancelled));
            using var _ = opened.Response;
            Assert.True((await Assert.ThrowsAsync<MirrorException>(() => ReadAsync(opened.Body, 1_000))).IsTransient);
        }
    }

    [Fact]
    public async Task A_coding_that_decodes_to_nothing_for_long_ends()
    {
        var nothing = Enumerable.Repeat(Compress("gzip", []), 20_000).SelectMany(member => member).ToArray();
        await using var peer = Peer("gzip", nothing);
        using var client = RegistryClientTests.Client(peer);
        var opened = Assert.IsType<TarballAnswer.Opened>(await client.OpenTarballAsync(new Uri(peer.Url, "x.tgz"), Cancelled));
        using var _ = opened.Response;
        Assert.Equal(nothing, await ReadAsync(opened.Body, 100_000));
    }

    [Fact]
    public async Task A_coding_that_decodes_to_nothing_is_not_read_on_for_a_first_byte()
    {
        var nothing = Enumerable.Repeat(Compress("gzip", []), 20_000).SelectMany(member => member).ToArray();
        await using var peer = new LoopbackPeer(async (_, stream, cancellationToken) =>
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: {nothing.Length + 1}\r\nConnection: close\r\n\r\n"), cancellationToken);
            await stream.WriteAsync(nothing, cancellationToken);
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
        });
        using var client = RegistryClientTests.Client(peer);
        var opened = Assert.IsType<TarballAnswer.Opened>(await client.OpenTarballAsync(new Uri(peer.Url, "x.tgz"), Cancelled));
        using var _ = opened.Response;
        var first = new byte[1_000];
        await opened.Body.ReadExactlyAsync(first, Cancelled);
        Assert.Equal(nothing[..first.Length], first);
    }

    private static LoopbackPeer Peer(string header, byte[] body) => new(async (_, stream, cancellationToken) =>
    {
        var coding = header.Length == 0 ? "" : $"Content-Encoding: {header}\r\n";
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 X\r\n{coding}Content-Length: {body.Length}\r\nConnection: close\r\n\r\n"), cancellationToken);
        await stream.WriteAsync(body, cancellationToken);
    });

    private static async Task AssertCutAsync(string header, byte[] cut, byte[] whole, int length)
    {
        byte[] decoded;
        try
        {
            decoded = await DecodeAsync(header, cut, 4096);
        }
        catch (Exception exception) when (exception is EndOfStreamException or InvalidDataException)
        {
            return;
        }

        // The checksum of the outer coding may be missing: its content has come and was checked.
        Assert.True(whole.AsSpan().SequenceEqual(decoded), $"{length} bytes decode to {decoded.Length} without an error.");
    }

    private static async Task<byte[]> DecodeAsync(string header, byte[] coded, int pieceBytes)
    {
        var codings = BodyCodings.Parse([header]);
        Assert.Null(codings.Problem);
        await using var decoded = codings.TakeOff(new Pieces(coded, pieceBytes));
        return await ReadAsync(decoded, 333);
    }

    private static async Task<byte[]> ReadAsync(Stream stream, int bufferBytes)
    {
        using var all = new MemoryStream();
        var buffer = new byte[bufferBytes];
        while (await stream.ReadAsync(buffer, Cancelled) is var read and > 0)
        {
            all.Write(buffer, 0, read);
        }

        return all.ToArray();
    }

    private static byte[] Coded(string shape, byte[]? content = null)
    {
        var plain = content ?? Plain;
        return shape switch
        {
            "gzip of two members" => [.. Compress("gzip", plain[..100]), .. Compress("gzip", plain[100..])],
            "gzip with zeros after it" => [.. Compress("gzip", plain), .. new byte[600]],
            "gzip with text after it" => [.. Compress("gzip", plain), .. "\r\n<!-- served by -->\r\n"u8],
            "zstd of two frames" => [.. Compress("zstd", plain[..100]), .. Compress("zstd", plain[100..])],
            "gzip in gzip" => Compress("gzip", Compress("gzip", plain)),
            "br in gzip" => Compress("gzip", Compress("br", plain)),
            _ => Compress(shape, plain),
        };
    }

    private static byte[] Compress(string shape, byte[] plain)
    {
        using var buffer = new MemoryStream();
        using (Stream encoder = shape switch
        {
            "gzip" => new GZipStream(buffer, CompressionLevel.Fastest),
            "br" => new BrotliStream(buffer, CompressionLevel.Fastest),
            "zstd" => new CompressionStream(buffer),
            "raw deflate" => new DeflateStream(buffer, CompressionLevel.Fastest),
            "raw deflate, stored" => new DeflateStream(buffer, CompressionLevel.NoCompression),
            _ => new ZLibStream(buffer, CompressionLevel.Fastest),
        })
        {
            encoder.Write(plain);
        }

        // .NET writes nothing for nothing; an empty member is this.
        return buffer.ToArray() is { Length: > 0 } coded ? coded : [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    }

    /// <summary>Bytes that come in pieces, as from a network.</summary>
    private sealed class Pieces(byte[] bytes, int pieceBytes) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, pieceBytes)], cancellationToken);
    }
}
