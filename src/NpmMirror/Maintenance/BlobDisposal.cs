using NpmMirror.Diagnostics;
using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>
/// The only way to delete a blob, safe against another task that stores or takes over the same bytes at the same moment, and against a crash at any point.
/// </summary>
/// <remarks>
/// 1 no row names it · 2 out of sight, in one step · 3 look again: is it old, does still no row name it · 4 delete, else restore.
/// A task that stores bytes first has them under their hash, then writes the row; a task that takes over existing bytes writes the row and then checks
/// that they are still in sight (<see cref="Tarballs.TarballDownloads"/>). So either 3 sees the row or the age of the bytes, or the other task sees that the bytes are
/// gone and fetches them. The next run settles the blobs that a crash leaves out of sight.
/// </remarks>
internal sealed class BlobDisposal(ITarballTable tarballs, IBlobStore blobs)
{
    /// <summary>Deletes the blob, unless a row names it or it is younger than <paramref name="youngest"/>. Returns the bytes freed, or null when it stays.</summary>
    internal async Task<long?> TryDeleteAsync(Digest sha512, DateTimeOffset youngest, CancellationToken cancellationToken)
    {
        if (await tarballs.IsReferencedAsync(sha512, cancellationToken) || await blobs.CondemnAsync(sha512, cancellationToken) is not { } condemned)
        {
            return null;
        }

        CrashPoint.Hit(CrashPoint.AfterCondemning);
        return await SettleAsync(condemned, youngest);
    }

    /// <summary>Settles the blobs that dead processes had condemned.</summary>
    internal async Task SettleLeftoversAsync(DateTimeOffset youngest, CancellationToken cancellationToken)
    {
        await foreach (var condemned in blobs.ListCondemnedAsync(cancellationToken))
        {
            await SettleAsync(condemned, youngest);
        }
    }

    // Not cancelled half-way: a blob must not be left out of sight.
    private async Task<long?> SettleAsync(CondemnedBlob condemned, DateTimeOffset youngest)
    {
        var isNeeded = true;
        try
        {
            isNeeded = condemned.Info.StoredAt > youngest || await tarballs.IsReferencedAsync(condemned.Info.Sha512, CancellationToken.None);
        }
        finally
        {
            await (isNeeded ? condemned.RestoreAsync(CancellationToken.None) : condemned.DeleteAsync(CancellationToken.None));
        }

        return isNeeded ? null : condemned.Info.SizeBytes;
    }
}
