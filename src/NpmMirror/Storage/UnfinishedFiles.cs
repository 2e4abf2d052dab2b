using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;

namespace NpmMirror.Storage;

/// <summary>
/// The folder of files still being written. Each process holds a mark file locked there as long as it lives, and its files carry the
/// mark's name: so a later process tells a dead process's leftovers from a live one's work, whatever their age.
/// </summary>
internal sealed partial class UnfinishedFiles(string folder, DurableFolders folders, ILogger logger) : IDisposable
{
    private const string MarkSuffix = ".owner";
    private const string FileSuffix = ".part";
    private const int MarkAttemptsMax = 100;

    private readonly Lock _lock = new();
    private FileStream? _mark;
    private string _owner = "";
    private long _count;
    private bool _isDisposed;

    /// <summary>A path for a new file. The first call in a process creates the folder and removes leftovers of dead processes.</summary>
    internal string NextPath()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_mark is null)
            {
                folders.Create(folder);
                RemoveLeftovers(isDryRun: false);
                Claim();
            }
            else if (!File.Exists(MarkPath))
            {
                // The disk was away. A missing folder is not made anew: files in an empty mount point are hidden by the next mount.
                if (!Directory.Exists(folder))
                {
                    throw new DirectoryNotFoundException($"{folder} was there before and is not any more.");
                }

                _mark.Dispose();
                Claim();
            }

            return Path.Combine(folder, $"{_owner}-{++_count}{FileSuffix}");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _mark?.Dispose();
        }
    }

    private string MarkPath => Path.Combine(folder, _owner + MarkSuffix);

    private void Claim()
    {
        for (var attempt = 1; attempt <= MarkAttemptsMax; attempt++)
        {
            _owner = Guid.NewGuid().ToString("N");
            try
            {
                var mark = OpenLocked(MarkPath, FileMode.CreateNew);
                if (File.Exists(MarkPath))
                {
                    _mark = mark;
                    return;
                }

                // Another process found the mark between its creation and its lock, and took it for a leftover.
                mark.Dispose();
            }
            catch (IOException) when (attempt < MarkAttemptsMax && Directory.Exists(folder))
            {
                // Another process holds it at this moment to see whether it is a leftover, or held it and has deleted it by now. A lasting failure is told at the end.
            }
        }

        throw new IOException($"No mark file could be locked in {folder}.");
    }

    /// <summary>Removes, or only counts, leftovers of dead processes.</summary>
    internal UnfinishedBlobs RemoveLeftovers(bool isDryRun)
    {
        if (!Directory.Exists(folder))
        {
            return default;
        }

        var living = new HashSet<string>(StringComparer.Ordinal);
        foreach (var mark in Directory.EnumerateFiles(folder, "*" + MarkSuffix))
        {
            try
            {
                // Locked by this call, so its process is dead; deleted when closed.
                OpenLocked(mark, FileMode.Open, isKept: isDryRun).Dispose();
            }
            catch (Exception trouble) when (FileTrouble.IsOne(trouble))
            {
                // Its process lives, or another is removing it.
                living.Add(Path.GetFileNameWithoutExtension(mark));
            }
        }

        var left = default(UnfinishedBlobs);
        foreach (var file in new DirectoryInfo(folder).EnumerateFiles("*" + FileSuffix))
        {
            var owner = file.Name.Split('-')[0];
            if (!living.Contains(owner) && (isDryRun || !File.Exists(Path.Combine(folder, owner + MarkSuffix))))
            {
                left = new UnfinishedBlobs(left.Count + 1, left.SizeBytes + (file.Exists ? file.Length : 0));
                if (!isDryRun)
                {
                    file.Delete();
                }
            }
        }

        if (left.Count > 0 && !isDryRun)
        {
            LogLeftovers(left.Count, folder);
        }

        return left;
    }

    // FileShare.None is a lock that the kernel drops when its process ends in any way.
    private static FileStream OpenLocked(string path, FileMode mode, bool isKept = false) =>
        new(path, new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = FileShare.None, Options = isKept ? FileOptions.None : FileOptions.DeleteOnClose, BufferSize = 0 });

    [LoggerMessage(EventIds.Storage + 50, LogLevel.Information, "Removed {Count} unfinished files of processes that died from {Folder}")]
    private partial void LogLeftovers(int count, string folder);
}
