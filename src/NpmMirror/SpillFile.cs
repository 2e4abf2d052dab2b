namespace NpmMirror;

/// <summary>Bytes that have no room in memory now: in a temporary file without a name, so that nothing of it outlives its user, not even when the process is killed.</summary>
internal sealed class SpillFile : IAsyncDisposable
{
    private readonly FileStream _file;

    private SpillFile(FileStream file) => _file = file;

    /// <summary>How many bytes it has.</summary>
    internal long LengthBytes { get; private set; }

    /// <summary>An empty one.</summary>
    /// <param name="folder">Where; null: the system's folder for temporary files.</param>
    /// <exception cref="MirrorException">No file can be made.</exception>
    internal static SpillFile Create(string? folder)
    {
        try
        {
            return new SpillFile(Open(folder, "body"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw NoRoom(e);
        }
    }

    /// <summary>Opens a file without a name.</summary>
    /// <param name="folder">Where; null: the system's folder for temporary files, which is also taken where the folder cannot be written.</param>
    /// <param name="kind">Begins its name, on systems where it has one.</param>
    internal static FileStream Open(string? folder, string kind)
    {
        if (folder is not null)
        {
            try
            {
                Directory.CreateDirectory(folder);
                return OpenIn(folder, kind);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A full or read-only data folder stops storing, not serving.
            }
        }

        return OpenIn(Path.GetTempPath(), kind);
    }

    /// <summary>Adds bytes at the end.</summary>
    /// <exception cref="MirrorException">The disk is full.</exception>
    internal async ValueTask AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            await RandomAccess.WriteAsync(_file.SafeFileHandle, bytes, LengthBytes, cancellationToken);
            LengthBytes += bytes.Length;
        }
        catch (IOException e)
        {
            throw NoRoom(e);
        }
    }

    /// <summary>All of it.</summary>
    /// <exception cref="MirrorException">The disk is in trouble.</exception>
    internal async Task<byte[]> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            var bytes = GC.AllocateUninitializedArray<byte>((int)LengthBytes);
            _file.Position = 0;
            await _file.ReadExactlyAsync(bytes, cancellationToken);
            return bytes;
        }
        catch (IOException e)
        {
            throw NoRoom(e);
        }
    }

    /// <summary>Reads all of it into a document that has room for it.</summary>
    /// <exception cref="MirrorException">The disk is in trouble.</exception>
    internal async Task ReadIntoAsync(RawDocument document, CancellationToken cancellationToken)
    {
        try
        {
            _file.Position = 0;
            while (document.LengthBytes < LengthBytes)
            {
                if (await document.ReadOnceAsync(_file, cancellationToken) == 0)
                {
                    throw new EndOfStreamException("A temporary file became shorter.");
                }
            }
        }
        catch (IOException e)
        {
            throw NoRoom(e);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _file.DisposeAsync();

    private static MirrorException NoRoom(Exception trouble) =>
        new(MirrorFault.StoreReadOnly, $"There is no room for a long body among the temporary files (tmp in the data folder): {trouble.Message}", isTransient: true, inner: trouble);

    private static FileStream OpenIn(string folder, string kind)
    {
        var path = Path.Combine(folder, $"{kind}-{Guid.NewGuid():N}.tmp");
        var stream = new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, bufferSize: 0, FileOptions.DeleteOnClose);
        if (!OperatingSystem.IsWindows())
        {
            File.Delete(path);
        }

        return stream;
    }
}
