using NpmMirror.Storage;

namespace NpmMirror.Tarballs;

/// <summary>A tarball read from the store.</summary>
internal sealed class TarballStored(TarballRow row, BlobReader blob) : TarballReading
{
    /// <inheritdoc/>
    public override long? LengthBytes => blob.LengthBytes;

    /// <inheritdoc/>
    public override Digest Sha512 => row.Sha512;

    /// <inheritdoc/>
    public override bool IsPromised => row.Problem is null;

    /// <inheritdoc/>
    public override DateTimeOffset? StoredAt => blob.StoredAt;

    /// <inheritdoc/>
    public override bool IsVerified => true;

    /// <inheritdoc/>
    public override string? FilePath => blob.FilePath;

    /// <inheritdoc/>
    public override ValueTask<Uri?> FindAddressAsync(CancellationToken cancellationToken) => blob.FindAddressAsync(cancellationToken);

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) => blob.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    public override ValueTask<long> WaitForLengthAsync(CancellationToken cancellationToken) => ValueTask.FromResult(blob.LengthBytes);

    /// <inheritdoc/>
    public override ValueTask DisposeAsync() => blob.DisposeAsync();
}
