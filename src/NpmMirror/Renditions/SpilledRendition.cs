using System.IO.MemoryMappedFiles;

namespace NpmMirror.Renditions;

/// <summary>
/// A rendition too long to be held: in a temporary file that has no name any more, so that nothing of it outlives its reader, not even
/// when the process is killed.
/// </summary>
internal sealed class SpilledRendition : IAsyncDisposable
{
    private readonly FileStream _file;

    private SpilledRendition(FileStream file) => _file = file;

    /// <summary>Its length in bytes.</summary>
    public long LengthBytes => _file.Length;

    /// <summary>Reads from <paramref name="offset"/>; 0 at the end.</summary>
    public ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) => RandomAccess.ReadAsync(_file.SafeFileHandle, buffer, offset, cancellationToken);

    /// <summary>Reads all of it as it lies in the file: it is not held in memory.</summary>
    internal unsafe T Read<T>(Func<ReadOnlySpan<byte>, T> read)
    {
        using var map = MemoryMappedFile.CreateFromFile(_file, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        using var view = map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        try
        {
            return read(new ReadOnlySpan<byte>(start + view.PointerOffset, (int)_file.Length));
        }
        finally
        {
            view.SafeMemoryMappedViewHandle.ReleasePointer();
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _file.DisposeAsync();

    /// <summary>An empty one; the bytes written into <paramref name="file"/> are its content.</summary>
    internal static SpilledRendition Create(string folder, out Stream file)
    {
        var stream = SpillFile.Open(folder, "rendition");
        file = stream;
        return new SpilledRendition(stream);
    }
}
