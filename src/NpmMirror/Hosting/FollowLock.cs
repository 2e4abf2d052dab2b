using System.Globalization;

namespace NpmMirror.Hosting;

/// <summary>
/// One process per data folder follows the feed: two would do all work twice and turn each other's cursor back. A file lock, because
/// the system releases it however its owner dies.
/// </summary>
internal static class FollowLock
{
    /// <summary>Takes the lock; null if the folder cannot be written and nothing can be followed anyway.</summary>
    /// <exception cref="MirrorException">Another process has it.</exception>
    public static FileStream? Take(string dataFolder)
    {
        var path = Path.Combine(dataFolder, "follow.lock");
        try
        {
            Directory.CreateDirectory(dataFolder);
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return file;
        }
        catch (IOException) when (IsHeld(path))
        {
            throw new MirrorException(
                MirrorFault.StoreUnavailable,
                string.Create(CultureInfo.InvariantCulture, $"Another npm-mirror serves or follows with the folder {Path.GetFullPath(dataFolder)}; stop it, or give this one its own with data. status, sync, reconcile, verify, gc, removed and backup work beside it."));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // A full or read-only disk fails in the same type: only a held lock also keeps a reader out.
    private static bool IsHeld(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }
}
