using System.IO.Compression;
using System.Runtime.InteropServices;
using ZstdSharp;

namespace NpmMirror.Storage;

/// <summary>Between the upstream's bytes and the stored form of them. Zstandard 1 is the default: measured, it gives the smallest store per second of CPU, and is read fastest.</summary>
internal static class DocumentCodecs
{
    /// <summary>The form of new documents.</summary>
    internal const DocumentCodec Usual = DocumentCodec.Zstandard;

    private const int ZstandardLevel = 1;

    // The form that the option store.documents=served once wrote. The number is never used again.
    private const DocumentCodec AsServed = (DocumentCodec)3;

    private static readonly CoderPool<Compressor> Compressors = new(() => new Compressor(ZstandardLevel));
    private static readonly CoderPool<Decompressor> Decompressors = new(() => new Decompressor());

    /// <summary>Compresses a document for the store. The result's bytes are its own.</summary>
    public static StoredDocument Encode(ReadOnlySpan<byte> raw, DocumentCodec codec = Usual) => Encode(raw, Digest.OfSha256(raw), codec);

    /// <summary>Compresses a document whose SHA-256 is known already.</summary>
    public static StoredDocument Encode(ReadOnlySpan<byte> raw, Digest sha256, DocumentCodec codec = Usual) => codec switch
    {
        DocumentCodec.Identity => new StoredDocument(codec, raw.ToArray(), raw.Length, sha256),
        DocumentCodec.Gzip => new StoredDocument(codec, Code(raw, stored => new GZipStream(stored, CompressionLevel.Fastest)), raw.Length, sha256),
        DocumentCodec.Brotli => new StoredDocument(codec, Code(raw, stored => new BrotliStream(stored, CompressionLevel.Fastest)), raw.Length, sha256),
        DocumentCodec.Zstandard => new StoredDocument(codec, Zstandard(raw), raw.Length, sha256),
        _ => throw new ArgumentOutOfRangeException(nameof(codec)),
    };

    /// <summary>Decompresses a document outside the managed heap, under a budget, and compares it with its SHA-256.</summary>
    /// <param name="package">The package of the document, for messages.</param>
    /// <param name="document">The stored document.</param>
    /// <param name="budget">Where the memory is accounted.</param>
    /// <param name="cancellationToken">Ends the wait for the budget.</param>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: the stored document does not match its hash.</exception>
    public static async ValueTask<RawDocument> DecodeAsync(PackageName package, StoredDocument document, ByteBudget budget, CancellationToken cancellationToken)
    {
        var raw = await RawDocument.CreateAsync(budget, document.RawSizeBytes, cancellationToken);
        try
        {
            DecodeInto(package, document, raw);
            return raw;
        }
        catch
        {
            raw.Dispose();
            throw;
        }
    }

    /// <summary>Decompresses into an empty document that has room for <see cref="StoredDocument.RawSizeBytes"/>, and compares it with its SHA-256.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: the stored document does not match its hash.</exception>
    public static void DecodeInto(PackageName package, StoredDocument document, RawDocument target)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(target.LengthBytes, 0, nameof(target));
        ArgumentOutOfRangeException.ThrowIfLessThan(target.RoomLeft.Length, document.RawSizeBytes, nameof(target));
        var isWhole = document.Codec switch
        {
            DocumentCodec.Identity => TryCopy(document.Bytes.Span, target, document.RawSizeBytes),
            DocumentCodec.Zstandard => TryDecodeZstandard(document.Bytes.Span, target, document.RawSizeBytes),
            _ => TryDecodeStream(package, document, target),
        };
        if (!isWhole || Digest.OfSha256(target.Bytes) != document.Sha256)
        {
            throw Damaged(package, null);
        }
    }

    /// <summary>The document's raw bytes as a stream, for documents that are better not held whole. Reading to the end checks the length.</summary>
    public static Stream OpenDecoded(PackageName package, StoredDocument document)
    {
        Stream decoded = document.Codec switch
        {
            DocumentCodec.Identity => Open(document.Bytes),
            DocumentCodec.Gzip => new GZipStream(Open(document.Bytes), CompressionMode.Decompress),
            DocumentCodec.Brotli => new BrotliStream(Open(document.Bytes), CompressionMode.Decompress),
            DocumentCodec.Zstandard => new DecompressionStream(Open(document.Bytes), leaveOpen: false),
            AsServed => throw new MirrorException(MirrorFault.StoreDamaged, $"The stored document of {package} has the form of store.documents=served, which this npm-mirror does not read any more; npm-mirror verify --repair fetches it again."),
            DocumentCodec.Purged => throw new MirrorException(MirrorFault.StoreUnavailable, $"The document of {package} was purged (removed.*=purge); its content is gone for good."),
            // A store of a newer program has a newer schema, and was refused.
            _ => throw Damaged(package, null),
        };
        return new DecodedDocumentStream(decoded, package, document.RawSizeBytes);
    }

    /// <summary>Gives a document another form.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: it is not what its SHA-256 says.</exception>
    internal static StoredDocument Recode(StoredDocument document, DocumentCodec codec, PackageName package)
    {
        var raw = GC.AllocateUninitializedArray<byte>(document.RawSizeBytes);
        using (var decoded = OpenDecoded(package, document))
        {
            decoded.ReadExactly(raw);
            if (decoded.ReadByte() >= 0 || Digest.OfSha256(raw) != document.Sha256)
            {
                throw Damaged(package, null);
            }
        }

        return codec == DocumentCodec.Identity ? document with { Codec = codec, Bytes = raw } : Encode(raw, document.Sha256, codec);
    }

    internal static MirrorException Damaged(PackageName package, Exception? inner) => new(
        MirrorFault.StoreDamaged,
        $"The stored document of {package} is damaged; npm-mirror verify --repair fetches it again, or restore the store from a backup.",
        inner: inner);

    private static MemoryStream Open(ReadOnlyMemory<byte> bytes) => MemoryMarshal.TryGetArray(bytes, out var array)
        ? new MemoryStream(array.Array!, array.Offset, array.Count, writable: false)
        : new MemoryStream(bytes.ToArray(), writable: false);

    private static byte[] Code(ReadOnlySpan<byte> raw, Func<Stream, Stream> open)
    {
        using var stored = new MemoryStream(raw.Length / 8);
        using (var coder = open(stored))
        {
            coder.Write(raw);
        }

        return stored.ToArray();
    }

    // In one call, which needs room for the longest result: of memory outside the heap only what is written to becomes real.
    private static unsafe byte[] Zstandard(ReadOnlySpan<byte> raw)
    {
        using var coder = Compressors.Take();
        var (start, sizeBytes) = NativeBlocks.Rent(Compressor.GetCompressBound(raw.Length));
        try
        {
            var room = new Span<byte>((void*)start, sizeBytes);
            return room[..coder.Value.Wrap(raw, room)].ToArray();
        }
        finally
        {
            NativeBlocks.Return(start, sizeBytes);
        }
    }

    private static bool TryCopy(ReadOnlySpan<byte> stored, RawDocument target, int length)
    {
        var isWhole = stored.Length == length;
        if (isWhole)
        {
            stored.CopyTo(target.RoomLeft);
            target.Advance(length);
        }

        return isWhole;
    }

    private static bool TryDecodeZstandard(ReadOnlySpan<byte> stored, RawDocument target, int length)
    {
        using var decoder = Decompressors.Take();
        try
        {
            // What is longer than promised finds no room.
            if (!decoder.Value.TryUnwrap(stored, target.RoomLeft[..length], out var written) || written != length)
            {
                return false;
            }
        }
        catch (ZstdException)
        {
            return false;
        }

        target.Advance(length);
        return true;
    }

    private static bool TryDecodeStream(PackageName package, StoredDocument document, RawDocument target)
    {
        using var decoded = OpenDecoded(package, document);
        decoded.ReadExactly(target.RoomLeft[..document.RawSizeBytes]);
        target.Advance(document.RawSizeBytes);

        // The stream checks the length when it is read to its end.
        return decoded.ReadByte() < 0;
    }
}
