using Microsoft.Win32.SafeHandles;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>
/// The bytes of small files that are asked for again and again: to open, lock, read and close such a file costs more than to send it. A look at the file's
/// length and time of writing, at each use, tells whether it is the same file still. At most 8 MB.
/// </summary>
internal sealed class SmallFiles
{
    /// <summary>A longer file is read for each answer: its bytes are most of the cost.</summary>
    internal const int LengthMaxBytes = 128 * 1024;

    // At most twice as many are held.
    private const int FilesMin = 32;

    private readonly BoundedCache<string, Taken> _files = new("small files", FilesMin);

    /// <summary>How many are held.</summary>
    internal int Count => _files.Count;

    /// <summary>The bytes that were taken from the file, if it has not changed; null if it has to be opened.</summary>
    internal byte[]? Find(string path)
    {
        if (!_files.TryGet(path, out var taken))
        {
            return null;
        }

        var now = new FileInfo(path);
        if (now.Exists && now.Length == taken.Bytes.Length && now.LastWriteTimeUtc == taken.WrittenAt)
        {
            return taken.Bytes;
        }

        _files.Remove(path);
        return null;
    }

    /// <summary>Takes the bytes of an open file.</summary>
    /// <exception cref="IOException">It is shorter.</exception>
    internal byte[] Take(string path, SafeFileHandle file, int lengthBytes)
    {
        // The time first: a write in between makes the next look see another one.
        var writtenAt = File.GetLastWriteTimeUtc(file);
        var bytes = new byte[lengthBytes];
        for (var at = 0; at < bytes.Length;)
        {
            var read = RandomAccess.Read(file, bytes.AsSpan(at), at);
            at += read > 0 ? read : throw new IOException("The file became shorter while it was read.");
        }

        _files.Set(path, new Taken(bytes, writtenAt));
        return bytes;
    }

    private sealed record Taken(byte[] Bytes, DateTime WrittenAt);
}
