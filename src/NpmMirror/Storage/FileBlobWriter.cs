using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace NpmMirror.Storage;

/// <summary>A blob file under its temporary name: hashed while written, synced, then published under its hash.</summary>
internal sealed class FileBlobWriter(FileBlobStore store, SafeFileHandle file, string path) : BlobWriter
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA512);
    private long _lengthBytes;

    /// <inheritdoc/>
    public override long LengthBytes => Volatile.Read(ref _lengthBytes);

    /// <inheritdoc/>
    public override ValueTask AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            RandomAccess.Write(file, bytes.Span, _lengthBytes);
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            throw FileTrouble.Explain(trouble, store.Location);
        }

        _hash.AppendData(bytes.Span);
        // Readers may look only now: the bytes are in the file.
        Volatile.Write(ref _lengthBytes, _lengthBytes + bytes.Length);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var room = (int)Math.Clamp(LengthBytes - offset, 0, buffer.Length);
        try
        {
            return ValueTask.FromResult(room == 0 ? 0 : RandomAccess.Read(file, buffer.Span[..room], offset));
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            throw FileTrouble.Explain(trouble, store.Location);
        }
    }

    /// <inheritdoc/>
    public override Digest ComputeSha512()
    {
        Span<byte> hash = stackalloc byte[SHA512.HashSizeInBytes];
        _hash.GetCurrentHash(hash);
        return new Digest(hash);
    }

    /// <inheritdoc/>
    public override ValueTask<Digest> CommitAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var sha512 = ComputeSha512();
        try
        {
            // Before the rename: a name must never lead to bytes that a power cut can still take away.
            RandomAccess.FlushToDisk(file);
            store.Publish(path, sha512);
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            throw FileTrouble.Explain(trouble, store.Location);
        }

        return ValueTask.FromResult(sha512);
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        file.Dispose();
        _hash.Dispose();
        try
        {
            // Once published it lies there no more.
            File.Delete(path);
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            // A read-only disk keeps it until the next start, which removes it.
        }

        return ValueTask.CompletedTask;
    }
}
