using System.IO.Compression;
using System.Security.Cryptography;
using NpmMirror.Hosting;
using NpmMirror.Storage;

namespace NpmMirror.Page.Sources;

/// <summary>
/// Reads stored tarballs for people, two at a time in a process, and each within limits of files, bytes and time: what goes beyond is told, and the rest is shown. It fetches nothing.
/// </summary>
internal sealed class SourceReader(Mirror mirror) : IDisposable
{
    internal const int FilesMax = 20_000;
    internal const long DecodedMaxBytes = 512L * 1024 * 1024;

    /// <summary>The longest file whose text is kept.</summary>
    internal const int TextMaxBytes = 256 * 1024;

    // Of all files together.
    private const int KeptMaxBytes = 8 * 1024 * 1024;
    private const int PathMaxChars = 1_000;

    private static readonly TimeSpan Within = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan TurnWithin = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _turns = new(2);

    /// <inheritdoc/>
    public void Dispose() => _turns.Dispose();

    /// <summary>The files of a stored tarball.</summary>
    /// <param name="tarball">Its row; the caller has checked that it may be seen.</param>
    /// <param name="wanted">The only path whose text is kept; null: of all, as far as there is room.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="MirrorException">Too many tarballs are being read, or the store is in trouble.</exception>
    internal async Task<SourceTree> ReadAsync(TarballRow tarball, string? wanted, CancellationToken cancellationToken)
    {
        if (!await _turns.WaitAsync(TurnWithin, cancellationToken))
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, "Other tarballs are being read for readers; try again in some seconds.", isTransient: true);
        }

        try
        {
            await using var blob = await mirror.Blobs.OpenAsync(tarball.Sha512, cancellationToken);
            return blob is null ? new SourceTree(new Dictionary<string, SourceFile>(), "The bytes of this tarball are not there; npm-mirror verify tells more.") : await ReadAsync(blob, wanted, cancellationToken);
        }
        finally
        {
            _turns.Release();
        }
    }

    private async Task<SourceTree> ReadAsync(BlobReader blob, string? wanted, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(Within, mirror.Time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var files = new Dictionary<string, SourceFile>(StringComparer.Ordinal);
        try
        {
            await using var bytes = new BlobStream(blob);
            await using var decoded = await IsGzipAsync(blob, ending.Token) ? new GZipStream(bytes, CompressionMode.Decompress) : (Stream)bytes;
            return new SourceTree(files, await FillAsync(files, new TarEntries(decoded, DecodedMaxBytes), wanted, ending.Token));
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            return new SourceTree(files, $"The rest of the archive cannot be read: {Words.Plain(e.Message)}");
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return new SourceTree(files, $"The archive was not read to its end within {Within.TotalSeconds:0} s.");
        }
    }

    private static async Task<string?> FillAsync(Dictionary<string, SourceFile> files, TarEntries entries, string? wanted, CancellationToken cancellationToken)
    {
        var left = KeptMaxBytes;
        var buffer = new byte[TextMaxBytes];
        while (await entries.NextAsync(cancellationToken))
        {
            if (files.Count == FilesMax)
            {
                return $"The archive has more than {FilesMax} files.";
            }

            var path = PathOf(entries.Name);
            var isKept = entries.SizeBytes <= TextMaxBytes && entries.SizeBytes <= left && (wanted is null || wanted == path);
            var (hash, text, isBinary) = await ReadFileAsync(entries, buffer, isKept, cancellationToken);
            left -= text is null ? 0 : (int)entries.SizeBytes;
            files[path] = new SourceFile(path, entries.SizeBytes, hash, text, isBinary);
        }

        return null;
    }

    private static async Task<(Digest Hash, string? Text, bool IsBinary)> ReadFileAsync(TarEntries entries, byte[] buffer, bool isKept, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var (have, isBinary) = (0, false);
        while (true)
        {
            // A kept file fits the buffer; of another one each piece takes the place of the one before.
            var read = await entries.ReadAsync(buffer.AsMemory(isKept ? have : 0, isKept ? Math.Max(1, buffer.Length - have) : buffer.Length), cancellationToken);
            if (read == 0)
            {
                break;
            }

            hash.AppendData(buffer, isKept ? have : 0, read);
            isBinary |= buffer.AsSpan(isKept ? have : 0, read).Contains((byte)0);
            have += isKept ? read : 0;
            if (isKept && have == buffer.Length && entries.SizeBytes == have)
            {
                break;
            }
        }

        var text = isKept ? SourceTree.TextOf(buffer.AsSpan(0, have)) : null;
        return (new Digest(hash.GetHashAndReset()), text, isBinary || (isKept && text is null));
    }

    /// <summary>Without the first folder, which has any name.</summary>
    private static string PathOf(string name)
    {
        var path = name.IndexOf('/', StringComparison.Ordinal) is >= 0 and var slash ? name[(slash + 1)..] : name;
        return path.Length <= PathMaxChars ? path : path[..PathMaxChars];
    }

    private static async Task<bool> IsGzipAsync(BlobReader blob, CancellationToken cancellationToken)
    {
        var start = new byte[2];
        return await blob.ReadAsync(0, start, cancellationToken) == 2 && start is [0x1f, 0x8b];
    }
}

/// <summary>A blob from its beginning on, as a stream.</summary>
internal sealed class BlobStream(BlobReader blob) : ForwardStream
{
    private long _offset;

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await blob.ReadAsync(_offset, buffer, cancellationToken);
        _offset += read;
        return read;
    }
}
