using System.Diagnostics;

namespace NpmMirror.Tests.Sqlite;

/// <summary>A disk of a few megabytes that can be filled and made read-only: a mount in memory, for which a test must be root.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly TempFolder _folder = new();

    private SmallDisk()
    {
    }

    public string Path => _folder.Path;

    public static SmallDisk Mount(int megabytes)
    {
        var disk = new SmallDisk();
        if (!Run("mount", "-t", "tmpfs", "-o", $"size={megabytes}m", "tmpfs", disk.Path))
        {
            disk._folder.Dispose();
            Assert.Skip("A disk that can be filled needs the right to mount one: run the tests as root.");
        }

        return disk;
    }

    public string File(string name) => _folder.File(name);

    public void MakeReadOnly() => Assert.True(Run("mount", "-o", "remount,ro", Path));

    public void MakeWritable() => Assert.True(Run("mount", "-o", "remount,rw", Path));

    /// <summary>Writes a file until nothing fits any more.</summary>
    public void Fill()
    {
        using var filler = System.IO.File.Create(File("filler"), 1);
        try
        {
            for (var block = new byte[4096]; ;)
            {
                filler.Write(block);
            }
        }
        catch (IOException)
        {
            // Full.
        }
    }

    public void MakeRoom() => System.IO.File.Delete(File("filler"));

    public void Dispose()
    {
        Run("umount", Path);
        _folder.Dispose();
    }

    private static bool Run(string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
