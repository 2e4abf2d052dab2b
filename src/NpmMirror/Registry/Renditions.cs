using System.IO.Compression;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Registry;

/// <summary>Makes renditions: decompress, copy slices, compress. The raw document is held under the shared budget meanwhile.</summary>
internal sealed class Renditions(IMetadataStore store, ByteBudget budget)
{
    private long _madeCount;

    /// <summary>How many were made.</summary>
    internal long MadeCount => Interlocked.Read(ref _madeCount);

    /// <summary>The final bytes, or null when the store holds another document by now (or the version is not in it).</summary>
    internal async Task<byte[]?> MakeAsync(PackageRow row, RenditionKey key, CancellationToken cancellationToken)
    {
        var package = await store.ReadAsync(row.Name, cancellationToken);
        if (package is null || package.Row.Facts.IsRemoved || package.Row.DocumentSha256 != row.DocumentSha256)
        {
            return null;
        }

        using var document = await RawDocument.CreateAsync(budget, package.Document.RawSizeBytes, cancellationToken);
        Decode(package.Document, document);
        return Render(package.Row, document.Bytes, key);
    }

    private byte[]? Render(PackageRow row, ReadOnlySpan<byte> document, RenditionKey key)
    {
        var index = PackumentIndex.FromBytes(row.Index.Span);
        using var output = new RenditionWriter(key.Coding);
        if (key.Version is null)
        {
            PackumentWriter.Write(key.Form, index, document, row.Name, key.BaseUrl, output);
        }
        else if (index.Find(key.Version) is { } version)
        {
            PackumentWriter.WriteManifest(version, document, row.Name, key.BaseUrl, output);
        }
        else
        {
            return null;
        }

        Interlocked.Increment(ref _madeCount);
        return output.ToArray();
    }

    private static void Decode(StoredDocument stored, RawDocument document)
    {
        using var bytes = new MemoryStream(stored.Bytes.ToArray(), writable: false);
        using Stream decoded = stored.Codec switch
        {
            DocumentCodec.Gzip => new GZipStream(bytes, CompressionMode.Decompress),
            DocumentCodec.Brotli => new BrotliStream(bytes, CompressionMode.Decompress),
            _ => bytes,
        };
        var left = stored.RawSizeBytes;
        while (left > 0)
        {
            var read = decoded.Read(document.RoomLeft[..left]);
            if (read == 0)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, "A stored document is shorter than its row says; run verify, and restore the store from a backup.");
            }

            document.Advance(read);
            left -= read;
        }
    }
}
