using System.Runtime.CompilerServices;
using NpmMirror.Storage;

namespace NpmMirror.S3;

/// <summary>
/// Blobs as objects, <c>{prefix}blobs/ab/cd/abcd…</c>, named as their files would be. A condemned one stays where it is, with a mark beside it
/// (<c>{prefix}condemned/abcd…</c>): objects cannot be renamed. Several processes may share the bucket; one of them collects (the lease of <c>gc</c>).
/// </summary>
internal sealed class S3BlobStore(S3Bucket bucket, FileBlobStore files, S3Cache cache, TimeProvider time) : IBlobStore, IDisposable
{
    private const string Blobs = "blobs/";
    private const string Condemned = "condemned/";
    private const string Checks = "checks/";
    private const int HexLength = 128;
    private const int PutsMax = 3;

    // Longer than a collector takes from its last look at a mark to the deletion of what it marks.
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(1);

    // No upload takes as long.
    private static readonly TimeSpan UploadMax = TimeSpan.FromDays(1);

    /// <inheritdoc/>
    public string Location => bucket.Location;

    /// <inheritdoc/>
    public async ValueTask<BlobReader?> OpenAsync(Digest sha512, CancellationToken cancellationToken)
    {
        var key = KeyOf(sha512);
        if (await cache.OpenAsync(sha512, cancellationToken) is { } cached)
        {
            return cached;
        }

        if (await FindAsync(sha512, cancellationToken) is not { } found)
        {
            return null;
        }

        var filling = cache.IsOn && found.SizeBytes > 0 ? await cache.BeginAsync(sha512, found.SizeBytes, cancellationToken) : null;
        return new S3BlobReader(bucket, key, found, filling is null ? null : new S3Filling(cache, sha512, found, filling));
    }

    /// <inheritdoc/>
    public async ValueTask<BlobWriter> CreateAsync(CancellationToken cancellationToken) => new S3BlobWriter(this, await files.CreateAsync(cancellationToken));

    /// <inheritdoc/>
    public async ValueTask<bool> ExistsAsync(Digest sha512, CancellationToken cancellationToken) => await FindAsync(sha512, cancellationToken) is not null;

    /// <inheritdoc/>
    public async ValueTask<CondemnedBlob?> CondemnAsync(Digest sha512, CancellationToken cancellationToken)
    {
        if (await FindAsync(sha512, cancellationToken) is null)
        {
            return null;
        }

        await bucket.PutAsync(MarkOf(sha512), Stream.Null, cancellationToken);
        await cache.DropAsync(sha512, cancellationToken);
        return await FindCondemnedAsync(sha512, cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<CondemnedBlob> ListCondemnedAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var mark in bucket.ListAsync(Condemned, cancellationToken))
        {
            if (HashOf(mark.Key) is { } sha512 && await FindCondemnedAsync(sha512, cancellationToken) is { } blob)
            {
                yield return blob;
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<UnfinishedBlobs> RemoveUnfinishedAsync(bool isDryRun, CancellationToken cancellationToken)
    {
        var local = await files.RemoveUnfinishedAsync(isDryRun, cancellationToken);
        var uploads = await bucket.ListUploadsAsync(Blobs, time.GetUtcNow() - UploadMax, cancellationToken);
        foreach (var (key, upload) in isDryRun ? [] : uploads)
        {
            await bucket.AbandonAsync(key, upload, cancellationToken);
        }

        return local with { Count = local.Count + uploads.Count };
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<BlobInfo> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var condemned = await bucket.ListAsync(Condemned, cancellationToken).Select(mark => HashOf(mark.Key)).ToHashSetAsync(cancellationToken: cancellationToken);
        await foreach (var entry in bucket.ListAsync(Blobs, cancellationToken))
        {
            if (HashOf(entry.Key) is { } sha512 && !condemned.Contains(sha512))
            {
                yield return new BlobInfo(sha512, entry.SizeBytes, entry.StoredAt);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken)
    {
        try
        {
            var key = $"{Checks}{Guid.NewGuid():N}";
            await bucket.PutAsync(key, Stream.Null, cancellationToken);
            await bucket.DeleteAsync(key, cancellationToken);
            return await files.CheckWritableAsync(cancellationToken);
        }
        catch (MirrorException trouble)
        {
            return trouble.Message;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        bucket.Dispose();
        files.Dispose();
    }

    /// <summary>
    /// Puts a whole body under its hash. A collector that marked it in this moment may still delete it, so it is looked for afterwards: either the collector
    /// saw that it was put anew, or this sees that it is gone.
    /// </summary>
    internal async Task PublishAsync(Digest sha512, BlobWriter written, CancellationToken cancellationToken)
    {
        for (var put = 1; put <= PutsMax; put++)
        {
            await S3Upload.RunAsync(bucket, KeyOf(sha512), written, cancellationToken);
            if (await bucket.FindAsync(MarkOf(sha512), cancellationToken) is not null)
            {
                await bucket.DeleteAsync(MarkOf(sha512), cancellationToken);
                await Task.Delay(Settling, time, cancellationToken);
            }

            if (await bucket.FindAsync(KeyOf(sha512), cancellationToken) is { } there && there.SizeBytes == written.LengthBytes)
            {
                await cache.KeepAsync(written, there.StoredAt, cancellationToken);
                return;
            }
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"What is put into {Location} is not there afterwards, or has another length; see whether another program deletes objects there.", isTransient: true);
    }

    /// <summary>An object in sight, or null.</summary>
    private async Task<S3Entry?> FindAsync(Digest sha512, CancellationToken cancellationToken)
    {
        var found = await Task.WhenAll(bucket.FindAsync(KeyOf(sha512), cancellationToken), bucket.FindAsync(MarkOf(sha512), cancellationToken));
        return found[1] is null ? found[0] : null;
    }

    private async Task<CondemnedBlob?> FindCondemnedAsync(Digest sha512, CancellationToken cancellationToken)
    {
        if (await bucket.FindAsync(KeyOf(sha512), cancellationToken) is { } found)
        {
            return new CondemnedObject(bucket, new BlobInfo(sha512, found.SizeBytes, found.StoredAt));
        }

        // A mark without its object: its collector died after the deletion.
        await bucket.DeleteAsync(MarkOf(sha512), cancellationToken);
        return null;
    }

    private static string KeyOf(Digest sha512)
    {
        var hex = sha512.Hex;
        return hex.Length == HexLength ? $"{Blobs}{hex[..2]}/{hex[2..4]}/{hex}" : throw new ArgumentException("Blobs are addressed by a SHA-512.", nameof(sha512));
    }

    private static string MarkOf(Digest sha512) => Condemned + sha512.Hex;

    private static Digest? HashOf(string key) => key[(key.LastIndexOf('/') + 1)..] is { Length: HexLength } name && name.All(char.IsAsciiHexDigitLower) ? Digest.FromHex(name) : null;

    private sealed class CondemnedObject(S3Bucket bucket, BlobInfo info) : CondemnedBlob
    {
        public override BlobInfo Info => info;

        public override async ValueTask DeleteAsync(CancellationToken cancellationToken)
        {
            // A writer that put the same bytes anew has taken the mark away.
            if (await bucket.FindAsync(MarkOf(info.Sha512), cancellationToken) is not null)
            {
                await bucket.DeleteAsync(KeyOf(info.Sha512), cancellationToken);
                await bucket.DeleteAsync(MarkOf(info.Sha512), cancellationToken);
            }
        }

        public override async ValueTask RestoreAsync(CancellationToken cancellationToken) => await bucket.DeleteAsync(MarkOf(info.Sha512), cancellationToken);
    }
}
