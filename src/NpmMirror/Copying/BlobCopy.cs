using System.Buffers;
using NpmMirror.Storage;

namespace NpmMirror.Copying;

/// <summary>Copies the bytes of the tarballs that the source's rows name, as far as the target does not have them. Each gets its SHA-512 computed on the way.</summary>
internal sealed class BlobCopy(IMetadataStore store, IBlobStore source, IBlobStore target, CopyTally tally)
{
    private const int AtATime = 8;
    private const int BufferBytes = 256 * 1024;

    internal async Task RunAsync(CancellationToken cancellationToken)
    {
        tally.BeginPart("tarballs", (await store.CountAsync(cancellationToken)).Tarballs);
        await Parallel.ForEachAsync(
            store.Tarballs.ListTarballsAsync(null, cancellationToken).Where(row => row.State == TarballState.Held),
            new ParallelOptions { MaxDegreeOfParallelism = AtATime, CancellationToken = cancellationToken },
            async (row, token) =>
            {
                if (!await target.ExistsAsync(row.Sha512, token))
                {
                    await CopyAsync(row, token);
                }

                tally.Look();
            });
    }

    private async ValueTask CopyAsync(TarballRow row, CancellationToken cancellationToken)
    {
        await using var reader = await source.OpenAsync(row.Sha512, cancellationToken);
        if (reader is null)
        {
            // Or gc was faster.
            if (await store.Tarballs.FindTarballAsync(row.Package, row.File, cancellationToken) == row)
            {
                tally.Find($"{row.Package} {row.File}", $"The bytes of this tarball are not in {source.Location}.");
            }

            return;
        }

        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            await using var writer = await target.CreateAsync(cancellationToken);
            for (var offset = 0L; await reader.ReadAsync(offset, buffer, cancellationToken) is > 0 and var read; offset += read)
            {
                await writer.AppendAsync(buffer.AsMemory(0, read), cancellationToken);
            }

            if (writer.ComputeSha512() != row.Sha512)
            {
                tally.Find($"{row.Package} {row.File}", $"The bytes of this tarball in {source.Location} are not what their SHA-512 says.");
                return;
            }

            await writer.CommitAsync(cancellationToken);
            tally.Copy(1, writer.LengthBytes);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
