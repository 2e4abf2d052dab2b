using Microsoft.Win32.SafeHandles;

namespace NpmMirror.Storage;

/// <summary>An open blob file.</summary>
internal sealed class FileBlobReader(SafeFileHandle file, string path) : BlobReader
{
    /// <inheritdoc/>
    public override long LengthBytes { get; } = RandomAccess.GetLength(file);

    /// <inheritdoc/>
    public override DateTimeOffset? StoredAt { get; } = new(File.GetLastWriteTimeUtc(file));

    /// <inheritdoc/>
    public override string FilePath => path;

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            // Unix has no asynchronous file reads here: the async call would block another pool thread and cost a hop on top.
            return ValueTask.FromResult(RandomAccess.Read(file, buffer.Span, offset));
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            throw FileTrouble.Explain(trouble, path);
        }
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        file.Dispose();
        return ValueTask.CompletedTask;
    }
}
