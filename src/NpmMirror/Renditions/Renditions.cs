using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.Renditions;

/// <summary>Makes renditions: decompress, copy slices, compress. The raw document is held under the shared budget meanwhile.</summary>
internal sealed class Renditions(IPackageTable packages, ByteBudget budget, VisibilityRules rules, StoreMetrics measured) : IDisposable
{
    /// <summary>From this raw size on, others are felt to wait for a document: it takes milliseconds, and up to seconds.</summary>
    private const int LongBytes = 1_000_000;

    // Long ones take turns, so that there is always a processor for all the others.
    private readonly SemaphoreSlim _longTurns = new(Math.Max(1, Environment.ProcessorCount / 2));

    private long _madeCount;

    /// <summary>How many were made for a client that waited.</summary>
    internal long MadeCount => Interlocked.Read(ref _madeCount);

    /// <inheritdoc/>
    public void Dispose() => _longTurns.Dispose();

    /// <summary>The final bytes, or null when the store holds another document by now (or the version is not in it).</summary>
    internal async Task<byte[]?> MakeAsync(PackageRow row, RenditionKey key, RenditionEffort effort, CancellationToken cancellationToken)
    {
        using var output = new ChunkStream();
        return await RenderAsync(row, key, effort, output, cancellationToken) ? output.ToArray() : null;
    }

    /// <summary>As <see cref="MakeAsync"/>, into a temporary file.</summary>
    internal async Task<SpilledRendition?> SpillAsync(PackageRow row, RenditionKey key, string folder, CancellationToken cancellationToken)
    {
        var spilled = SpilledRendition.Create(folder, out var file);
        try
        {
            if (await RenderAsync(row, key, RenditionEffort.Quick, file, cancellationToken))
            {
                return spilled;
            }
        }
        catch (IOException e)
        {
            await spilled.DisposeAsync();
            throw new MirrorException(MirrorFault.StoreReadOnly, $"The packument of {row.Name} is long, and there is no room for it among the temporary files: {e.Message}", isTransient: true, inner: e);
        }
        catch
        {
            await spilled.DisposeAsync();
            throw;
        }

        await spilled.DisposeAsync();
        return null;
    }

    private async Task<bool> RenderAsync(PackageRow row, RenditionKey key, RenditionEffort effort, Stream output, CancellationToken cancellationToken)
    {
        var package = await measured.MeasureAsync("read", () => packages.ReadAsync(row.Name, cancellationToken));
        if (package is null || rules.Of(package.Row) is null != (rules.Of(row) is null) || package.Row.DocumentSha256 != row.DocumentSha256)
        {
            return false;
        }

        // Harder compression in the background has a queue of its own.
        var takesTurn = effort == RenditionEffort.Quick && package.Document.RawSizeBytes >= LongBytes;
        if (takesTurn)
        {
            await _longTurns.WaitAsync(cancellationToken);
        }

        try
        {
            using var document = await DocumentCodecs.DecodeAsync(row.Name, package.Document, budget, cancellationToken);
            return Render(package.Row, document.Bytes, key, effort, output);
        }
        finally
        {
            if (takesTurn)
            {
                _longTurns.Release();
            }
        }
    }

    private bool Render(PackageRow row, ReadOnlySpan<byte> document, RenditionKey key, RenditionEffort effort, Stream output)
    {
        var index = PackumentIndex.FromBytes(row.Index.Span, row.Name);
        using var writer = new RenditionWriter(output, key.Coding, effort);
        if (key.Version is null)
        {
            PackumentWriter.Write(key.Form, index, document, row.Name, key.BaseUrl, writer);
        }
        else if (index.Find(key.Version) is { } version)
        {
            PackumentWriter.WriteManifest(version, document, row.Name, key.BaseUrl, writer);
        }
        else
        {
            return false;
        }

        writer.Complete();
        if (effort == RenditionEffort.Quick)
        {
            Interlocked.Increment(ref _madeCount);
        }

        return true;
    }
}
