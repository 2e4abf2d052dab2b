namespace NpmMirror.Tarballs;

/// <summary>A tarball ready to be read: stored, or still arriving.</summary>
internal abstract class TarballReading : IAsyncDisposable
{
    /// <summary>How many bytes at the end of an arriving file are kept back until its hash was right.</summary>
    public const int WithheldBytes = 64 * 1024;

    /// <summary>The whole length, or null while the upstream has not told it.</summary>
    public abstract long? LengthBytes { get; }

    /// <summary>The SHA-512 of the whole: computed, if the file is stored, or promised, while it is arriving; empty without a promise.</summary>
    public abstract Digest Sha512 { get; }

    /// <summary>Whether the registry names these bytes by a hash, so that they are the same for ever.</summary>
    public virtual bool IsPromised => true;

    /// <summary>When the file was stored; null if that is not known.</summary>
    public virtual DateTimeOffset? StoredAt => null;

    /// <summary>Whether the hash was right before any of it was given out; false while it is arriving.</summary>
    public virtual bool IsVerified => false;

    /// <summary>The stored file's path if there is one, for servers that can send files; null while it is arriving.</summary>
    public virtual string? FilePath => null;

    /// <summary>An address that gives the stored file to any client for some minutes; null where there is none.</summary>
    public virtual ValueTask<Uri?> FindAddressAsync(CancellationToken cancellationToken) => ValueTask.FromResult<Uri?>(null);

    /// <summary>
    /// Reads from <paramref name="offset"/>, waiting for bytes that have not arrived; 0 at the end. The last 64 KB of an arriving file are
    /// given out only after its hash was right. A file that cannot be stored is read forwards only.
    /// </summary>
    /// <exception cref="MirrorException">The download failed or did not match the packument's promise: the answer must be broken off.</exception>
    public abstract ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>Waits until the hash of an arriving file was right. A file that cannot be stored cannot be read after that.</summary>
    /// <exception cref="MirrorException">The download failed or did not match the packument's promise.</exception>
    public async ValueTask WaitForHashAsync(long length, CancellationToken cancellationToken)
    {
        if (!IsVerified && length > 0)
        {
            // The last byte is given out only then.
            await ReadAsync(length - 1, new byte[1], cancellationToken);
        }
    }

    /// <summary>Waits until the whole length is known, which may be at the download's end.</summary>
    /// <exception cref="MirrorException">The download failed, or the length will not be known before all was read.</exception>
    public abstract ValueTask<long> WaitForLengthAsync(CancellationToken cancellationToken);

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();
}

/// <summary>How a request for a tarball ended.</summary>
internal abstract record TarballResult
{
    private TarballResult()
    {
    }

    /// <summary>It can be read.</summary>
    public sealed record Opened(TarballReading Reading) : TarballResult;

    /// <summary>There is none (404), it is blocked (451), or it is not stored and <c>tarballs=never</c> (404); the reason is for the client's user.</summary>
    public sealed record Absent(int Status, string Reason) : TarballResult;
}
