using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using NpmMirror.Packuments;

namespace NpmMirror.Storage;

/// <summary>
/// A document stored as it is served: one gzip member of the full form under one base URL, behind what is needed to put upstream's
/// addresses back. Who asks for just that gets the member as it is; everything else goes through upstream's bytes.
/// </summary>
/// <remarks>
/// Nearly every address is upstream's prefix and then what this mirror writes too. So the served text is searched for this mirror's
/// prefix, which upstream's takes the place of; where that would be wrong there is an exception.
/// <para>
/// The layout, numbers as in an index: the head's length; 1 where upstream's bytes begin with a byte order mark, else 0; base URL,
/// upstream's prefix and the exceptions (Brotli), each after its length; the seal; then the member. Documents of older programs have no seal: to
/// check one of those it is decoded. An exception: how many places with the
/// prefix are left before it; the length of the served address, 0 where the text was upstream's own; else upstream's address behind its length.
/// </para>
/// </remarks>
internal static class ServedDocument
{
    // On the corpus: 3 is 10.4 % of raw at 335 MB/s, 4 is 9.9 % at 303, 6 is 9.5 % at 170.
    private const int GzipLevel = 4;
    private const int GzipMinBytes = 20;
    private const int SealBytes = 16;
    private const int BufferBytes = 64 * 1024;
    private const int ExceptionsQuality = 4;
    private const int WindowBits = 22;

    /// <summary>Compresses a document; null under a base URL that could not be told from the text around it.</summary>
    public static StoredDocument? Encode(ReadOnlySpan<byte> raw, Digest sha256, PackumentIndex index, PackageName name, string baseUrl)
    {
        var prefix = Encoding.UTF8.GetBytes(UrlWriter.StartOf(baseUrl));
        if (prefix.AsSpan(1).Contains((byte)'"'))
        {
            return null;
        }

        var urls = new UrlWriter(baseUrl, name);
        var replaced = PackumentWriter.ReplacedUrls(index).ToList();
        var upstreamPrefix = FindUpstreamPrefix(raw, replaced, urls, prefix.Length);
        var head = new IndexWriter(256);
        head.Byte((byte)(PackumentReader.OriginOf(raw) > 0 ? 1 : 0));
        WriteBytes(ref head, Encoding.UTF8.GetBytes(baseUrl));
        WriteBytes(ref head, upstreamPrefix);
        WriteBytes(ref head, FindExceptions(raw, replaced, urls, prefix, upstreamPrefix));
        head.Bytes(new byte[SealBytes]);
        var length = new IndexWriter(16);
        length.Number((ulong)head.Written.Length);
        var headBytes = length.Written.Length + head.Written.Length;

        using var stored = new MemoryStream(raw.Length / 8);
        stored.Write(length.Written);
        stored.Write(head.Written);
        using (var gzip = new GZipStream(stored, new ZLibCompressionOptions { CompressionLevel = GzipLevel }, leaveOpen: true))
        using (var buffered = new BufferedStream(gzip, BufferBytes))
        {
            WriteText(raw, replaced, urls, buffered);
        }

        var bytes = stored.ToArray();
        SealOf(sha256, bytes.AsSpan(0, headBytes - SealBytes), bytes.AsSpan(headBytes)).CopyTo(bytes.AsSpan(headBytes - SealBytes));
        return new StoredDocument(DocumentCodec.Served, bytes, raw.Length, sha256);
    }

    /// <summary>The gzip member once it was found to be what was stored; null where the document is stored otherwise or under another base URL.</summary>
    public static ReadOnlyMemory<byte>? MemberOf(PackageName package, StoredDocument document, string baseUrl)
    {
        if (document.Codec != DocumentCodec.Served)
        {
            return null;
        }

        var head = ReadHead(package, document, out var headBytes);
        // Typed: a bare null would become an empty body here.
        if (head.BaseUrl != baseUrl)
        {
            return (ReadOnlyMemory<byte>?)null;
        }

        var member = document.Bytes[headBytes..];
        var isIntact = head.Seal.Length == SealBytes
            ? SealOf(document.Sha256, document.Bytes.Span[..(headBytes - SealBytes)], member.Span).AsSpan().SequenceEqual(head.Seal)
            : IsDecodable(package, document);
        return isIntact ? member : throw DocumentCodecs.Damaged(package, null);
    }

    /// <summary>Upstream's bytes.</summary>
    public static Stream Open(PackageName package, StoredDocument document, Func<ReadOnlyMemory<byte>, Stream> open)
    {
        var head = ReadHead(package, document, out var headBytes);
        var member = document.Bytes[headBytes..];
        if (member.Length < GzipMinBytes)
        {
            throw DocumentCodecs.Damaged(package, null);
        }

        // A member ends with its text's length. The decoder does not look at it, and a text that was cut within an address may be as long as upstream's.
        var servedBytes = BinaryPrimitives.ReadUInt32LittleEndian(member.Span[^sizeof(uint)..]);
        return new UpstreamTextStream(new GZipStream(open(member), CompressionMode.Decompress), servedBytes, head);
    }

    /// <summary>Ties the stored bytes to the document's hash, so that they are checked without being decompressed: a tenth of the bytes.</summary>
    private static byte[] SealOf(Digest sha256, ReadOnlySpan<byte> head, ReadOnlySpan<byte> member)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(sha256.Bytes);
        hash.AppendData(head);
        hash.AppendData(member);
        return hash.GetHashAndReset()[..SealBytes];
    }

    private static bool IsDecodable(PackageName package, StoredDocument document)
    {
        using var decoded = DocumentCodecs.OpenDecoded(package, document);
        return new Digest(SHA256.HashData(decoded)) == document.Sha256;
    }

    private static ServedHead ReadHead(PackageName package, StoredDocument document, out int headBytes)
    {
        try
        {
            var reader = new IndexReader(document.Bytes.Span);
            var length = reader.Integer();
            headBytes = document.Bytes.Length - reader.LeftBytes + length;
            reader = new IndexReader(reader.Bytes(length));
            var hasByteOrderMark = reader.Byte() != 0;
            var baseUrl = Encoding.UTF8.GetString(reader.Bytes(reader.Integer()));
            var upstreamPrefix = reader.Bytes(reader.Integer()).ToArray();
            var exceptions = Decompressed(reader.Bytes(reader.Integer()));
            return new ServedHead(hasByteOrderMark, baseUrl, upstreamPrefix, exceptions, reader.Bytes(reader.LeftBytes).ToArray());
        }
        catch (Exception e) when (e is MirrorException or InvalidDataException or InvalidOperationException)
        {
            throw DocumentCodecs.Damaged(package, e);
        }
    }

    /// <summary>What stands in upstream's addresses before the part that this mirror writes too; empty where there is no such address.</summary>
    private static byte[] FindUpstreamPrefix(ReadOnlySpan<byte> raw, List<ReplacedUrl> replaced, UrlWriter urls, int prefixBytes)
    {
        var served = new ArrayBufferWriter<byte>();
        for (var i = replaced.Count - 1; i >= 0; i--)
        {
            served.ResetWrittenCount();
            replaced[i].Write(urls, served);
            var url = replaced[i].Url.Of(raw);
            if (url.EndsWith(served.WrittenSpan[prefixBytes..]))
            {
                return url[..^(served.WrittenCount - prefixBytes)].ToArray();
            }
        }

        return [];
    }

    private static byte[] FindExceptions(ReadOnlySpan<byte> raw, List<ReplacedUrl> replaced, UrlWriter urls, ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> upstreamPrefix)
    {
        var exceptions = new IndexWriter(0);
        var served = new ArrayBufferWriter<byte>();
        var (at, regular) = (0, 0ul);
        foreach (var next in replaced)
        {
            FindOwn(raw[at..next.Url.Offset], prefix, ref regular, ref exceptions);
            at = next.Url.Offset + next.Url.Length;
            served.ResetWrittenCount();
            next.Write(urls, served);
            var url = next.Url.Of(raw);
            if (url.Length == upstreamPrefix.Length + served.WrittenCount - prefix.Length && url.StartsWith(upstreamPrefix) && url.EndsWith(served.WrittenSpan[prefix.Length..]))
            {
                regular++;
                continue;
            }

            exceptions.Number(regular);
            exceptions.Number((ulong)served.WrittenCount);
            WriteBytes(ref exceptions, url);
            regular = 0;
        }

        FindOwn(raw[at..], prefix, ref regular, ref exceptions);
        return exceptions.Written.IsEmpty ? [] : Compressed(exceptions.Written);
    }

    // Text of upstream's that has this mirror's prefix in it.
    private static void FindOwn(ReadOnlySpan<byte> text, ReadOnlySpan<byte> prefix, ref ulong regular, ref IndexWriter exceptions)
    {
        for (var at = text.IndexOf(prefix); at >= 0; at = text.IndexOf(prefix))
        {
            exceptions.Number(regular);
            exceptions.Number(0);
            regular = 0;
            text = text[(at + prefix.Length)..];
        }
    }

    private static void WriteText(ReadOnlySpan<byte> raw, List<ReplacedUrl> replaced, UrlWriter urls, Stream output)
    {
        var served = new ArrayBufferWriter<byte>();
        var at = PackumentReader.OriginOf(raw);
        foreach (var next in replaced)
        {
            output.Write(raw[at..next.Url.Offset]);
            served.ResetWrittenCount();
            next.Write(urls, served);
            output.Write(served.WrittenSpan);
            at = next.Url.Offset + next.Url.Length;
        }

        output.Write(raw[at..]);
    }

    private static void WriteBytes(ref IndexWriter writer, ReadOnlySpan<byte> bytes)
    {
        writer.Number((ulong)bytes.Length);
        writer.Bytes(bytes);
    }

    private static byte[] Compressed(ReadOnlySpan<byte> bytes)
    {
        var compressed = new byte[BrotliEncoder.GetMaxCompressedLength(bytes.Length)];
        return BrotliEncoder.TryCompress(bytes, compressed, out var written, ExceptionsQuality, WindowBits) ? compressed[..written] : throw new System.Diagnostics.UnreachableException("Brotli needs more than it says at most.");
    }

    private static byte[] Decompressed(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return [];
        }

        using var compressed = new MemoryStream(bytes.ToArray());
        using var brotli = new BrotliStream(compressed, CompressionMode.Decompress);
        using var decompressed = new MemoryStream();
        brotli.CopyTo(decompressed);
        return decompressed.ToArray();
    }
}

/// <summary>What leads from a served text back to upstream's.</summary>
/// <param name="HasByteOrderMark">Whether upstream's bytes begin with one.</param>
/// <param name="BaseUrl">The base URL of the served text.</param>
/// <param name="UpstreamPrefix">What takes the prefix's place.</param>
/// <param name="Exceptions">Where it does not.</param>
/// <param name="Seal">What the stored bytes are checked with; empty in documents of older programs.</param>
internal sealed record ServedHead(bool HasByteOrderMark, string BaseUrl, byte[] UpstreamPrefix, byte[] Exceptions, byte[] Seal);
