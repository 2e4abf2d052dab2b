using System.Buffers;
using System.Diagnostics;
using System.IO.Compression;
using System.Runtime.InteropServices;

namespace NpmMirror.Storage;

/// <summary>Between the upstream's bytes and the stored form of them. Brotli 1 is the default: measured, it gives the smallest store per second of CPU.</summary>
internal static class DocumentCodecs
{
    private const int BrotliQuality = 1;
    private const int BrotliWindowBits = 22;
    // The form that the option store.documents=served once wrote. The number is never used again.
    private const DocumentCodec AsServed = (DocumentCodec)3;

    private const int ChunkBytes = 64 * 1024;

    /// <summary>Compresses a document for the store. The result's bytes are its own.</summary>
    public static StoredDocument Encode(ReadOnlySpan<byte> raw, DocumentCodec codec = DocumentCodec.Brotli) => Encode(raw, Digest.OfSha256(raw), codec);

    /// <summary>Compresses a document whose SHA-256 is known already.</summary>
    public static StoredDocument Encode(ReadOnlySpan<byte> raw, Digest sha256, DocumentCodec codec = DocumentCodec.Brotli) => codec switch
    {
        DocumentCodec.Identity => new StoredDocument(codec, raw.ToArray(), raw.Length, sha256),
        DocumentCodec.Gzip => new StoredDocument(codec, Gzip(raw), raw.Length, sha256),
        DocumentCodec.Brotli => new StoredDocument(codec, Brotli(raw), raw.Length, sha256),
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
            DocumentCodec.Brotli => TryDecodeBrotli(document.Bytes.Span, target, document.RawSizeBytes),
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

    private static byte[] Gzip(ReadOnlySpan<byte> raw)
    {
        using var stored = new MemoryStream(raw.Length / 8);
        using (var gzip = new GZipStream(stored, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(raw);
        }

        return stored.ToArray();
    }

    // Chunks, then one array of the exact size: the worst case of a 51 MB document is never allocated beside it.
    private static byte[] Brotli(ReadOnlySpan<byte> raw)
    {
        var chunks = new List<byte[]>();
        var encoder = new BrotliEncoder(BrotliQuality, BrotliWindowBits);
        try
        {
            OperationStatus status;
            var filled = ChunkBytes;
            do
            {
                if (filled == ChunkBytes)
                {
                    chunks.Add(ArrayPool<byte>.Shared.Rent(ChunkBytes));
                    filled = 0;
                }

                status = encoder.Compress(raw, chunks[^1].AsSpan(filled, ChunkBytes - filled), out var consumed, out var written, isFinalBlock: true);
                raw = raw[consumed..];
                filled += written;
            }
            while (status == OperationStatus.DestinationTooSmall);

            if (status != OperationStatus.Done)
            {
                throw new UnreachableException($"The Brotli encoder ended with {status}.");
            }

            var stored = GC.AllocateUninitializedArray<byte>(((chunks.Count - 1) * ChunkBytes) + filled);
            for (var i = 0; i < chunks.Count; i++)
            {
                var start = i * ChunkBytes;
                chunks[i].AsSpan(0, Math.Min(ChunkBytes, stored.Length - start)).CopyTo(stored.AsSpan(start));
            }

            return stored;
        }
        finally
        {
            encoder.Dispose();
            chunks.ForEach(chunk => ArrayPool<byte>.Shared.Return(chunk));
        }
    }

    private static bool TryCopy(ReadOnlySpan<byte> stored, RawDocument target, int length)
    {
        if (stored.Length != length)
        {
            return false;
        }

        stored.CopyTo(target.RoomLeft);
        target.Advance(length);
        return true;
    }

    private static bool TryDecodeBrotli(ReadOnlySpan<byte> stored, RawDocument target, int length)
    {
        using var decoder = new BrotliDecoder();
        Span<byte> probe = stackalloc byte[1];
        while (true)
        {
            // Once all is there, one byte of room tells "at the end" from "longer than promised".
            var room = target.LengthBytes < length ? target.RoomLeft[..(length - target.LengthBytes)] : probe;
            var status = decoder.Decompress(stored, room, out var consumed, out var written);
            if (target.LengthBytes == length)
            {
                return status == OperationStatus.Done && written == 0;
            }

            target.Advance(written);
            stored = stored[consumed..];
            if (status == OperationStatus.Done)
            {
                return target.LengthBytes == length;
            }

            if (status != OperationStatus.DestinationTooSmall)
            {
                return false;
            }
        }
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
