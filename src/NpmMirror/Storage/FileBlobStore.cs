using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace NpmMirror.Storage;

/// <summary>
/// Blobs as files, <c>{root}/blobs/ab/cd/abcd…</c>: named by their SHA-512 in hexadecimal and by nothing else, so that no name or
/// version of a package ever becomes a path. Several processes may share the folder.
/// </summary>
public sealed class FileBlobStore : IBlobStore, IDisposable
{
    private readonly string _blobs;
    private readonly DurableFolders _folders;
    private readonly UnfinishedFiles _unfinished;
    private readonly CondemnedFiles _condemned;

    /// <summary>Uses the folder; nothing is created before the first write.</summary>
    /// <param name="root">The mirror's data folder.</param>
    /// <param name="logger">Gets a line about removed files.</param>
    public FileBlobStore(string root, ILogger<FileBlobStore> logger)
    {
        _blobs = Path.Combine(Path.GetFullPath(root), "blobs");
        _folders = new DurableFolders(_blobs);
        // Inside the blobs' folder, because that may be a mount of its own and a rename cannot leave its file system.
        _unfinished = new UnfinishedFiles(Path.Combine(_blobs, "unfinished"), _folders, logger);
        _condemned = new CondemnedFiles(Path.Combine(_blobs, "condemned"), _folders, _blobs);
    }

    /// <inheritdoc/>
    public string Location => _blobs;

    /// <inheritdoc/>
    public ValueTask<BlobReader?> OpenAsync(Digest sha512, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var path = PathOf(sha512);
        try
        {
            var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            return ValueTask.FromResult<BlobReader?>(new FileBlobReader(file, path));
        }
        catch (Exception trouble) when (trouble is FileNotFoundException or DirectoryNotFoundException)
        {
            return ValueTask.FromResult<BlobReader?>(null);
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            throw FileTrouble.Explain(trouble, _blobs);
        }
    }

    /// <inheritdoc/>
    public ValueTask<BlobWriter> CreateAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult<BlobWriter>(new FileBlobWriter(this, CreateUnfinished(out var path), path));
    }

    /// <inheritdoc/>
    public ValueTask<bool> ExistsAsync(Digest sha512, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(File.Exists(PathOf(sha512)));
    }

    /// <inheritdoc/>
    public ValueTask<CondemnedBlob?> CondemnAsync(Digest sha512, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult<CondemnedBlob?>(_condemned.Take(sha512, PathOf(sha512)));
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<CondemnedBlob> ListCondemnedAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        foreach (var sha512 in _condemned.List())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_condemned.Find(sha512, PathOf(sha512)) is { } blob)
            {
                yield return blob;
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask<UnfinishedBlobs> RemoveUnfinishedAsync(bool isDryRun, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            return ValueTask.FromResult(_unfinished.RemoveLeftovers(isDryRun));
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            throw FileTrouble.Explain(trouble, _blobs);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<BlobInfo> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        // gc may run meanwhile: a folder or file that is gone when its turn comes is not listed.
        var walk = new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 2, IgnoreInaccessible = true, AttributesToSkip = 0 };
        foreach (var file in Directory.Exists(_blobs) ? new DirectoryInfo(_blobs).EnumerateFiles("*", walk) : [])
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (file.Name.Length == HexLength && file.Name.All(char.IsAsciiHexDigitLower) && file.Exists)
            {
                yield return new BlobInfo(Digest.FromHex(file.Name), file.Length, new DateTimeOffset(file.LastWriteTimeUtc));
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            using var file = CreateUnfinished(out var path);
            try
            {
                // Some file systems notice that they are full only when the bytes are really written.
                RandomAccess.Write(file, new byte[4096], 0);
                RandomAccess.FlushToDisk(file);
            }
            finally
            {
                File.Delete(path);
            }

            return ValueTask.FromResult<string?>(null);
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            return ValueTask.FromResult<string?>(FileTrouble.Explain(trouble, _blobs).Message);
        }
        catch (MirrorException trouble)
        {
            return ValueTask.FromResult<string?>(trouble.Message);
        }
    }

    /// <summary>Gives up the mark that keeps other processes from deleting what this one has begun.</summary>
    public void Dispose() => _unfinished.Dispose();

    /// <summary>Puts a finished, synced file under its hash, durably.</summary>
    internal void Publish(string unfinished, Digest sha512)
    {
        var path = PathOf(sha512);
        var folder = Path.GetDirectoryName(path)!;
        _folders.Create(folder);
        try
        {
            // A blob that is there already is replaced by the same bytes, just verified: that costs nothing, and mends one the disk damaged.
            File.Move(unfinished, path, overwrite: true);
        }
        catch (Exception trouble) when (OperatingSystem.IsWindows() && FileTrouble.IsOne(trouble) && File.Exists(path))
        {
            // Windows does not replace a file that a client is reading: the old one stays.
        }

        // Without this the name may be gone after a power cut although the row says the blob is held.
        DurableFolders.Sync(folder);
    }

    private const int HexLength = 2 * System.Security.Cryptography.SHA512.HashSizeInBytes;

    private string PathOf(Digest sha512)
    {
        var hex = sha512.Hex;
        return hex.Length == HexLength
            ? Path.Combine(_blobs, hex[..2], hex[2..4], hex)
            : throw new ArgumentException("Blobs are addressed by a SHA-512.", nameof(sha512));
    }

    private SafeFileHandle CreateUnfinished(out string path)
    {
        try
        {
            path = _unfinished.NextPath();
            return File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (DirectoryNotFoundException trouble)
        {
            throw new MirrorException(
                MirrorFault.StoreReadOnly,
                $"The folder {_blobs} is not there any more, or is another one: mount its disk again. Until then tarballs are passed on and not stored; to begin with an empty folder, restart npm-mirror.",
                isTransient: true,
                inner: trouble);
        }
        catch (Exception trouble) when (FileTrouble.IsOne(trouble))
        {
            throw FileTrouble.Explain(trouble, _blobs);
        }
    }
}
