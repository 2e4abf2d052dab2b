namespace NpmMirror.Storage;

/// <summary>Tarballs by their SHA-512. The bytes under a hash never change and are whole: they were verified before.</summary>
public interface IBlobStore
{
    /// <summary>Where the blobs are, for messages; without secrets.</summary>
    string Location { get; }

    /// <summary>Opens the blob for reading at any offset, or null if the store has none.</summary>
    ValueTask<BlobReader?> OpenAsync(Digest sha512, CancellationToken cancellationToken);

    /// <summary>Starts a blob under a temporary name; nothing is visible before <see cref="BlobWriter.CommitAsync"/>.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreReadOnly"/>: full or read-only.</exception>
    ValueTask<BlobWriter> CreateAsync(CancellationToken cancellationToken);

    /// <summary>Whether the blob is there.</summary>
    ValueTask<bool> ExistsAsync(Digest sha512, CancellationToken cancellationToken);

    /// <summary>
    /// Takes a blob out of sight in one step, or null if there is none: it is not opened, does not exist and is not listed any more; a reader that has it open
    /// reads on, and the same bytes may be stored anew. Only <c>gc</c> calls it, to check once more that the blob is unneeded before it deletes it.
    /// </summary>
    ValueTask<CondemnedBlob?> CondemnAsync(Digest sha512, CancellationToken cancellationToken);

    /// <summary>Blobs that were condemned and neither deleted nor restored, because their process died. Not while another process collects.</summary>
    IAsyncEnumerable<CondemnedBlob> ListCondemnedAsync(CancellationToken cancellationToken);

    /// <summary>Removes, or for <paramref name="isDryRun"/> only counts, files that dead processes had begun to write; none of a live one.</summary>
    ValueTask<UnfinishedBlobs> RemoveUnfinishedAsync(bool isDryRun, CancellationToken cancellationToken);

    /// <summary>All blobs, in no order.</summary>
    IAsyncEnumerable<BlobInfo> ListAsync(CancellationToken cancellationToken);

    /// <summary>Whether blobs can be written now. Null when they can, else the reason in one sentence.</summary>
    ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken);
}

/// <summary>A stored blob.</summary>
public readonly record struct BlobInfo(Digest Sha512, long SizeBytes, DateTimeOffset StoredAt);

/// <summary>Half-written files of dead processes.</summary>
public readonly record struct UnfinishedBlobs(int Count, long SizeBytes);

/// <summary>A blob out of sight, to be deleted or restored.</summary>
public abstract class CondemnedBlob
{
    /// <summary>Its length and age, read after it was taken out of sight, so that one stored anew a moment before is seen to be young.</summary>
    public abstract BlobInfo Info { get; }

    /// <summary>Deletes it.</summary>
    public abstract ValueTask DeleteAsync(CancellationToken cancellationToken);

    /// <summary>Puts it back; where the same bytes were stored anew meanwhile, those stay.</summary>
    public abstract ValueTask RestoreAsync(CancellationToken cancellationToken);
}

/// <summary>An open blob. Safe for concurrent reads.</summary>
public abstract class BlobReader : IAsyncDisposable
{
    /// <summary>The blob's length in bytes.</summary>
    public abstract long LengthBytes { get; }

    /// <summary>When the bytes were stored; null if the store cannot tell.</summary>
    public virtual DateTimeOffset? StoredAt => null;

    /// <summary>The file that holds exactly the blob, if there is one: for servers that can send files.</summary>
    public virtual string? FilePath => null;

    /// <summary>An address that gives exactly the blob to any client for some minutes; null where the store has none, or is not to give it.</summary>
    public virtual ValueTask<Uri?> FindAddressAsync(CancellationToken cancellationToken) => ValueTask.FromResult<Uri?>(null);

    /// <summary>Reads from <paramref name="offset"/>; 0 at the end.</summary>
    public abstract ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();
}

/// <summary>
/// A blob being written: append, let others read the bytes so far, then commit it under its hash or dispose of it to throw it away.
/// One writer; any number of readers.
/// </summary>
public abstract class BlobWriter : IAsyncDisposable
{
    /// <summary>Bytes appended so far.</summary>
    public abstract long LengthBytes { get; }

    /// <summary>Appends.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreReadOnly"/>: the disk is full.</exception>
    public abstract ValueTask AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    /// <summary>Reads appended bytes from <paramref name="offset"/> on; 0 at the present end.</summary>
    public abstract ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>The SHA-512 of the appended bytes.</summary>
    public abstract Digest ComputeSha512();

    /// <summary>Makes the blob durable and visible under its SHA-512: file synced, renamed, folder synced. Returns the hash.</summary>
    public abstract ValueTask<Digest> CommitAsync(CancellationToken cancellationToken);

    /// <summary>Closes; bytes that were not committed are deleted. Readers must have ended.</summary>
    public abstract ValueTask DisposeAsync();
}
