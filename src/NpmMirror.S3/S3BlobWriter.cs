using NpmMirror.Storage;

namespace NpmMirror.S3;

/// <summary>A blob in a file of this machine until it is whole; then it goes into the bucket.</summary>
internal sealed class S3BlobWriter(S3BlobStore store, BlobWriter file) : BlobWriter
{
    /// <inheritdoc/>
    public override long LengthBytes => file.LengthBytes;

    /// <inheritdoc/>
    public override ValueTask AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => file.AppendAsync(bytes, cancellationToken);

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) => file.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    public override Digest ComputeSha512() => file.ComputeSha512();

    /// <inheritdoc/>
    public override async ValueTask<Digest> CommitAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var sha512 = file.ComputeSha512();
        await store.PublishAsync(sha512, file, cancellationToken);
        return sha512;
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync() => file.DisposeAsync();
}
