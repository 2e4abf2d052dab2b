using NpmMirror.Packuments;

namespace NpmMirror.Mirroring;

/// <summary>A tarball ready to be read: stored, or still arriving.</summary>
public abstract class TarballReading : IAsyncDisposable
{
    /// <summary>The whole length, or null while the upstream has not told it.</summary>
    public abstract long? LengthBytes { get; }

    /// <summary>The SHA-512 when the file is stored; empty while it is arriving.</summary>
    public abstract Digest Sha512 { get; }

    /// <summary>The stored file's path where there is one, for servers that can send files; null while it is arriving.</summary>
    public abstract string? FilePath { get; }

    /// <summary>
    /// Reads from <paramref name="offset"/>, waiting for bytes that have not arrived; 0 at the end. The last 64 KB of an arriving file are
    /// given out only when its hash was right.
    /// </summary>
    /// <exception cref="MirrorException">The download failed or was not what the packument promises: the answer must be broken off.</exception>
    public abstract ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();
}

/// <summary>How a request for a tarball ended.</summary>
public abstract record TarballResult
{
    private TarballResult()
    {
    }

    /// <summary>It can be read.</summary>
    public sealed record Opened(TarballReading Reading) : TarballResult;

    /// <summary>There is none (404), it is blocked (451), or it is not stored and <c>tarballs=never</c> (404); the reason is for the client's user.</summary>
    public sealed record Absent(int Status, string Reason) : TarballResult;
}

/// <summary>
/// Tarballs from the store, else from the upstream: one download a file however many ask, verified while it is written, and never
/// kept when it is not what the packument promises.
/// </summary>
public sealed class TarballDownloads
{
    /// <summary>Opens a tarball of a version that the packument lists. Does not wait for the download's end.</summary>
    /// <exception cref="MirrorException">Upstream or store trouble, or a source that is not allowed.</exception>
    public Task<TarballResult> OpenAsync(PackageName package, VersionEntry version, string upstreamUrl, TarballPromise promise, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Opens a tarball by its file name only, when the packument does not list it any more: only what is stored.</summary>
    public Task<TarballReading?> OpenStoredAsync(PackageName package, string file, CancellationToken cancellationToken) => throw new NotImplementedException();
}
