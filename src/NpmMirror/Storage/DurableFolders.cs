using System.Collections.Concurrent;
using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NpmMirror.Storage;

/// <summary>Creates folders so that they, and names in them, survive a power cut: for engines that keep files.</summary>
/// <param name="root">The uppermost folder; the folders above it are taken for durable once it exists.</param>
public sealed partial class DurableFolders(string root)
{
    // At most 1 + 256 + 65,536 folders of blobs.
    private readonly ConcurrentDictionary<string, byte> _known = new(StringComparer.Ordinal);

    /// <summary>Creates the folder and those above it that are missing, each synced into its parent.</summary>
    public void Create(string folder)
    {
        // A disk that was away may come back in an older state.
        if (_known.ContainsKey(folder) && Directory.Exists(folder))
        {
            return;
        }

        var parent = Path.GetDirectoryName(folder);
        var isBelowRoot = folder.Length > root.Length;
        var isNew = !Directory.Exists(folder);
        if (parent is not null && (isBelowRoot || isNew))
        {
            Create(parent);
            Directory.CreateDirectory(folder);
            // Below the root also if the folder exists: another thread or process may have made it just now and not synced it yet.
            Sync(parent);
        }

        _known.TryAdd(folder, 0);
    }

    /// <summary>Makes the names in a folder durable.</summary>
    public static void Sync(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            // NTFS journals names itself, and Windows has no way to flush a folder.
            return;
        }

        // .NET refuses to open folders, but it flushes a handle to one.
        using var handle = new SafeFileHandle(Open(folder, CloseOnExec), ownsHandle: true);
        if (handle.IsInvalid)
        {
            var error = Marshal.GetLastPInvokeError();
            throw new IOException($"{folder}: {new Win32Exception(error).Message}", error);
        }

        RandomAccess.FlushToDisk(handle);
    }

    private static int CloseOnExec => OperatingSystem.IsLinux() ? 0x80000 : OperatingSystem.IsMacOS() ? 0x1000000 : 0x100000;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);
}
