using System.CommandLine;
using NpmMirror.Cli.Settings;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Cli.Commands;

/// <summary><c>npm-mirror backup FOLDER</c>: a copy that can be served as it is, taken while the mirror runs.</summary>
internal static class BackupCommand
{
    private const int BufferBytes = 256 * 1024;

    /// <summary>The command.</summary>
    public static Command Create(IReadOnlyList<string> flags)
    {
        var target = new Argument<string>("folder") { Description = "Where to: a new folder, or an earlier backup of the same mirror, whose tarballs are not copied again" };
        var command = new Command("backup", "Copy the mirror while it runs; restore by serving the copy: npm-mirror serve --data=FOLDER") { target };
        command.SetAction((parsed, cancellationToken) => CommandRun.RunAsync(flags, settings => RunAsync(settings, parsed.GetRequiredValue(target), cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(EffectiveSettings settings, string target, CancellationToken cancellationToken)
    {
        var options = settings.Options;
        if (string.IsNullOrWhiteSpace(target))
        {
            throw new MirrorException(MirrorFault.BadInput, "The folder of the backup is empty; name one.");
        }

        if (Path.GetFullPath(target) == Path.GetFullPath(options.Data))
        {
            throw new MirrorException(MirrorFault.BadInput, $"The mirror itself lives in {target}; name another folder for its backup.");
        }

        using var logging = Setup.CreateLogging(options.Log);
        Setup.RequireExistingStore(options);
        await using var store = Setup.CreateStore(options, logging) as SqliteStore
            ?? throw new MirrorException(MirrorFault.BadInput, "Only the SQLite engine is backed up this way; another engine's database has its own tools, and the tarballs are the files under data.");
        await store.OpenAsync(cancellationToken);

        // The store is copied first: every tarball its rows speak of is stored by then, and only gc deletes any. It gets its name last:
        // until then an earlier backup in this folder is whole.
        var file = Path.Combine(target, SqliteEngine.FileName);
        var next = file + ".next";
        await RequireOfThisMirrorAsync(store, target, file, cancellationToken);
        Prepare(target, next);
        await store.BackupAsync(next, cancellationToken);
        var (copied, bytes) = await CopyBlobsAsync(Setup.CreateBlobs(options, logging), new FileBlobStore(target, logging.CreateLogger<FileBlobStore>()), cancellationToken);
        File.Move(next, file, overwrite: true);
        Console.WriteLine($"Backed up {store.Location} to {Path.GetFullPath(target)}: metadata and {copied} tarballs that were not there yet ({Amounts.Bytes(bytes)}). Restore: npm-mirror serve --data={target}");
        return ExitCode.Ok;
    }

    /// <summary>Refuses to replace what this mirror's store does not lead on from: the backup of another, or of one that knew more than this one.</summary>
    private static async Task RequireOfThisMirrorAsync(SqliteStore store, string target, string file, CancellationToken cancellationToken)
    {
        if (File.Exists(file + "-wal"))
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"A mirror works in {target}, or was not ended well there; name another folder for the backup.");
        }

        if (!File.Exists(file))
        {
            return;
        }

        var earlier = SqliteStore.ReadHeadOfCopy(file);
        var row = await store.ReadLogAsync(new LogPosition(Math.Max(0, earlier.Position.Value - 1)), cancellationToken).FirstOrDefaultAsync(cancellationToken);
        if (earlier.Position != LogPosition.Zero && (row?.Position, row?.Hash) != (earlier.Position, earlier.Hash))
        {
            throw new MirrorException(
                MirrorFault.StoreUnavailable,
                $"{target} holds the backup of another mirror, or of a later state of this one: the log of {store.Location} does not lead through its head {earlier.Position}; name another folder for the backup.");
        }
    }

    private static void Prepare(string target, string next)
    {
        try
        {
            Directory.CreateDirectory(target);
            File.Delete(next);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new MirrorException(MirrorFault.StoreReadOnly, $"The folder {target} cannot be written: {failure.Message}", inner: failure);
        }
    }

    private static async Task<(int Copied, long Bytes)> CopyBlobsAsync(IBlobStore from, FileBlobStore to, CancellationToken cancellationToken)
    {
        var (copied, bytes) = (0, 0L);
        var buffer = new byte[BufferBytes];
        await foreach (var blob in from.ListAsync(cancellationToken))
        {
            if (await to.ExistsAsync(blob.Sha512, cancellationToken))
            {
                continue;
            }

            await using var reader = await from.OpenAsync(blob.Sha512, cancellationToken);
            if (reader is null)
            {
                continue; // gc was faster.
            }

            await using var writer = await to.CreateAsync(cancellationToken);
            for (long offset = 0; offset < reader.LengthBytes;)
            {
                var read = await reader.ReadAsync(offset, buffer, cancellationToken);
                if (read == 0)
                {
                    break;
                }

                await writer.AppendAsync(buffer.AsMemory(0, read), cancellationToken);
                offset += read;
            }

            if (writer.ComputeSha512() != blob.Sha512)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"The tarball {blob.Sha512} in {from.Location} is damaged; the backup stopped there. Delete that file and fetch the package again.");
            }

            await writer.CommitAsync(cancellationToken);
            copied++;
            bytes += reader.LengthBytes;
        }

        return (copied, bytes);
    }
}
