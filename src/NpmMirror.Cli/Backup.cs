using NpmMirror.Storage;

namespace NpmMirror.Cli;

/// <summary>Copies a mirror into a folder while it runs: first its store, then the tarballs that the copy of the store names.</summary>
internal sealed class Backup(IMetadataStore store, IStoreBackup copies, IBlobStore blobs, FileBlobStore target, string folder)
{
    private const int BufferBytes = 256 * 1024;

    private readonly string _file = Path.Combine(folder, copies.FileName);

    /// <summary>Copies. Returns how many tarballs were not there yet, and their bytes.</summary>
    /// <remarks>
    /// The store comes first: every tarball its rows name is stored by then, and only gc deletes any. Its copy gets its name last:
    /// until then an earlier backup in this folder is whole.
    /// </remarks>
    /// <exception cref="MirrorException">The folder holds something else, or cannot be written; a tarball is damaged.</exception>
    public async Task<(int Copied, long Bytes)> RunAsync(CancellationToken cancellationToken)
    {
        var next = _file + ".next";
        await RequireOfThisMirrorAsync(cancellationToken);
        Prepare(next);
        await copies.BackupAsync(next, cancellationToken);
        var copied = await CopyBlobsAsync(cancellationToken);
        File.Move(next, _file, overwrite: true);
        DurableFolders.Sync(folder);
        return copied;
    }

    /// <summary>Refuses to replace a backup that this mirror's store does not continue: one of another mirror, or one that is newer than this store.</summary>
    private async Task RequireOfThisMirrorAsync(CancellationToken cancellationToken)
    {
        if (File.Exists(_file + "-wal"))
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"A mirror works in {folder}, or was not ended well there; name another folder for the backup.");
        }

        if (!File.Exists(_file))
        {
            return;
        }

        var earlier = copies.ReadHeadOf(_file);
        var row = await store.Log.ReadLogAsync(new LogPosition(Math.Max(0, earlier.Position.Value - 1)), cancellationToken).FirstOrDefaultAsync(cancellationToken);
        if (earlier.Position != LogPosition.Zero && (row?.Position, row?.Hash) != (earlier.Position, earlier.Hash))
        {
            throw new MirrorException(
                MirrorFault.StoreUnavailable,
                $"{folder} holds the backup of another mirror, or of a later state of this one: the log of {store.Location} does not lead through its head {earlier.Position}; name another folder for the backup.");
        }
    }

    private void Prepare(string next)
    {
        try
        {
            var path = Path.GetFullPath(folder);
            new DurableFolders(path).Create(path);
            File.Delete(next);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new MirrorException(MirrorFault.StoreReadOnly, $"The folder {folder} cannot be written: {failure.Message}", inner: failure);
        }
    }

    private async Task<(int Copied, long Bytes)> CopyBlobsAsync(CancellationToken cancellationToken)
    {
        var (copied, bytes) = (0, 0L);
        var buffer = new byte[BufferBytes];
        await foreach (var blob in blobs.ListAsync(cancellationToken))
        {
            if (await target.ExistsAsync(blob.Sha512, cancellationToken))
            {
                continue;
            }

            await using var reader = await blobs.OpenAsync(blob.Sha512, cancellationToken);
            if (reader is null)
            {
                continue; // gc was faster.
            }

            await using var writer = await target.CreateAsync(cancellationToken);
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
                throw new MirrorException(MirrorFault.StoreUnavailable, $"The tarball {blob.Sha512} in {blobs.Location} is damaged; the backup stopped there. Delete that file and fetch the package again.");
            }

            await writer.CommitAsync(cancellationToken);
            copied++;
            bytes += reader.LengthBytes;
        }

        return (copied, bytes);
    }
}
