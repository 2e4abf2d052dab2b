using System.Runtime.CompilerServices;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

/// <summary>Blobs of a disk that is full until it is told otherwise.</summary>
internal sealed class FullDisk(IBlobStore files) : IBlobStore
{
    public string Location => files.Location;

    public ValueTask<BlobReader?> OpenAsync(Digest sha512, CancellationToken cancellationToken) => files.OpenAsync(sha512, cancellationToken);

    public bool IsFull { get; set; } = true;

    public ValueTask<BlobWriter> CreateAsync(CancellationToken cancellationToken) => IsFull
        ? throw new MirrorException(MirrorFault.StoreReadOnly, "The disk is full.", isTransient: true)
        : files.CreateAsync(cancellationToken);

    public ValueTask<bool> ExistsAsync(Digest sha512, CancellationToken cancellationToken) => files.ExistsAsync(sha512, cancellationToken);

    public ValueTask<CondemnedBlob?> CondemnAsync(Digest sha512, CancellationToken cancellationToken) => files.CondemnAsync(sha512, cancellationToken);

    public IAsyncEnumerable<CondemnedBlob> ListCondemnedAsync(CancellationToken cancellationToken) => files.ListCondemnedAsync(cancellationToken);

    public ValueTask<UnfinishedBlobs> RemoveUnfinishedAsync(bool isDryRun, CancellationToken cancellationToken) => files.RemoveUnfinishedAsync(isDryRun, cancellationToken);

    public async IAsyncEnumerable<BlobInfo> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var blob in files.ListAsync(cancellationToken))
        {
            yield return blob;
        }
    }

    public ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken) => ValueTask.FromResult<string?>("The disk is full.");
}
