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
        if (package is null || package.Row.Facts.IsRemoved != row.Facts.IsRemoved || package.Row.DocumentSha256 != row.DocumentSha256)
        {
            return null;
        }

        using var document = await DocumentCodecs.DecodeAsync(row.Name, package.Document, budget, isHashChecked: false, cancellationToken);
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
}
