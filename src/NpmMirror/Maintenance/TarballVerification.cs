using System.Buffers;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using NpmMirror.Storage;
using NpmMirror.Tarballs;

namespace NpmMirror.Maintenance;

/// <summary>
/// Every held tarball whose stamp is old enough: its bytes are there, their SHA-512 is the one they are stored under, and if no hash was promised for
/// them they are a tar archive. The right ones get a new stamp.
/// </summary>
internal sealed class TarballVerification(IMetadataStore store, IBlobStore blobs, VerifyRequest request, VerifyTally tally, TimeProvider time)
{
    private const int BufferBytes = 256 * 1024;
    private const int StampsMax = 256;

    private readonly ConcurrentQueue<TarballVerified> _stamps = new();

    /// <summary>Checks those last verified before <paramref name="due"/>.</summary>
    internal async Task RunAsync(DateTimeOffset due, CancellationToken cancellationToken)
    {
        var total = (await store.CountAsync(cancellationToken)).Tarballs;
        var rows = store.Tarballs.ListTarballsAsync(null, cancellationToken).Where(row => row.Damage is not null || (row.State == TarballState.Held && IsDue(row, due)));
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = Math.Max(2, Environment.ProcessorCount), CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(rows, parallel, async (row, token) =>
        {
            await CheckAsync(row, token);
            tally.CountTarball(row.SizeBytes, total);
            if (_stamps.Count >= StampsMax)
            {
                await StampAsync(token);
            }
        });
        await StampAsync(cancellationToken);
    }

    private bool IsDue(TarballRow row, DateTimeOffset due)
    {
        if (row.VerifiedAt is not { } at || at < due)
        {
            return true;
        }

        tally.CountSkipped();
        return false;
    }

    private async Task CheckAsync(TarballRow row, CancellationToken cancellationToken)
    {
        if (row.Damage is { } damage)
        {
            var left = request.Repairs is { } rows ? await rows.TryMendRowAsync(row, cancellationToken) : "";
            tally.Report(new VerifyFinding(VerifyFault.RowDamaged, $"{row.Package}/{row.File}", Finding.With(damage.Problem, left), left is null));
            return;
        }

        var (fault, problem, needsOthers) = await FindProblemAsync(row, cancellationToken);
        if (problem is null)
        {
            if (row.IsUnpromised && request.Repairs is { } asking && await asking.IsReplacedAsync(row, cancellationToken))
            {
                tally.Report(new VerifyFinding(VerifyFault.TarballNotPromised, $"{row.Package}/{row.File}", "The upstream promises no hash for it and sends other bytes by now; they replaced the held ones.", true));
            }
            else
            {
                _stamps.Enqueue(new TarballVerified(row.Package, row.File, row.Sha512, time.GetUtcNow()));
            }

            return;
        }

        // gc may have taken both since the row was read.
        if ((await store.Tarballs.FindTarballAsync(row.Package, row.File, cancellationToken))?.Sha512 != row.Sha512)
        {
            return;
        }

        var failure = request.Repairs is not { } repairs ? ""
            : needsOthers ? await repairs.TryReplaceTarballAsync(row, cancellationToken)
            : await repairs.TryMendTarballAsync(row, cancellationToken);
        tally.Report(new VerifyFinding(fault, $"{row.Package}/{row.File}", Finding.With(problem, failure), failure is null));
        if (failure is not null)
        {
            // Else a run that believes recent verifications would find no problem with it.
            _stamps.Enqueue(new TarballVerified(row.Package, row.File, row.Sha512, null));
        }
    }

    /// <summary>The problem; and whether the bytes are those that were stored, so that only other bytes can mend it.</summary>
    private async Task<(VerifyFault Fault, string? Problem, bool NeedsOthers)> FindProblemAsync(TarballRow row, CancellationToken cancellationToken)
    {
        try
        {
            await using var blob = await blobs.OpenAsync(row.Sha512, cancellationToken);
            if (blob is null)
            {
                return (VerifyFault.TarballMissing, $"Its bytes ({row.Sha512.Hex}) are not in {blobs.Location}.", false);
            }

            using var tar = row.IsUnpromised ? new TarCheck() : null;
            var found = await HashAsync(blob, tar, cancellationToken);
            if (found != row.Sha512)
            {
                return (VerifyFault.TarballDamaged, $"Its {blob.LengthBytes} bytes have the SHA-512 {found.Hex} instead of {row.Sha512.Hex}.", false);
            }

            return blob.LengthBytes == row.SizeBytes
                ? (VerifyFault.TarballDamaged, tar is null ? null : await tar.FinishAsync(cancellationToken), true)
                : (VerifyFault.RowDamaged, $"Its {blob.LengthBytes} bytes are right, and its row says that they are {row.SizeBytes}.", false);
        }
        catch (MirrorException trouble) when (trouble.Fault == MirrorFault.StoreUnavailable)
        {
            return (VerifyFault.TarballDamaged, trouble.Message, false);
        }
    }

    private static async Task<Digest> HashAsync(BlobReader blob, TarCheck? tar, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA512);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            int read;
            for (var offset = 0L; (read = await blob.ReadAsync(offset, buffer, cancellationToken)) > 0; offset += read)
            {
                hash.AppendData(buffer, 0, read);
                if (tar is not null)
                {
                    await tar.AppendAsync(buffer.AsMemory(0, read), cancellationToken);
                }
            }

            return new Digest(hash.GetHashAndReset());
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task StampAsync(CancellationToken cancellationToken)
    {
        var stamps = new List<TarballVerified>();
        while (stamps.Count < StampsMax * 2 && _stamps.TryDequeue(out var stamp))
        {
            stamps.Add(stamp);
        }

        try
        {
            await store.Tarballs.StampVerifiedAsync(stamps, cancellationToken);
        }
        catch (MirrorException trouble) when (trouble.Fault == MirrorFault.StoreReadOnly)
        {
            // Verified even so; the next run checks again.
        }
    }
}
