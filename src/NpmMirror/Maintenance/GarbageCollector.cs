using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Syncing;

namespace NpmMirror.Maintenance;

/// <summary>
/// The only part that deletes: leftovers of dead processes, removals that <c>removed</c> purges, tarballs over their budget, unneeded bytes, and records past their
/// retention. Beside a running mirror, one collection at a time, in bounded memory.
/// </summary>
public sealed class GarbageCollector(IMetadataStore store, IBlobStore blobs, MirrorOptions options, TimeProvider time)
{
    /// <summary>Collects, or in a dry run only tells the items.</summary>
    /// <param name="isDryRun">Whether nothing is changed.</param>
    /// <param name="told">Told of each item.</param>
    /// <param name="cancellationToken">Ends it; deletions so far stay done.</param>
    /// <exception cref="MirrorException">The store is in trouble, or another collection runs.</exception>
    public async Task<Collected> RunAsync(bool isDryRun, Action<CollectedItem> told, CancellationToken cancellationToken)
    {
        await using var lease = isDryRun ? null : await MaintenanceLease.TakeAsync(store, "gc", time, cancellationToken);
        try
        {
            return await CollectAsync(isDryRun, told, lease?.Token ?? cancellationToken);
        }
        catch (OperationCanceledException) when (lease is { IsLost: true })
        {
            throw lease.Lost();
        }
    }

    private async Task<Collected> CollectAsync(bool isDryRun, Action<CollectedItem> told, CancellationToken token)
    {
        var now = time.GetUtcNow();
        var tally = new CollectionTally(told);
        var disposal = new BlobDisposal(store.Tarballs, blobs);
        if (!isDryRun)
        {
            await disposal.SettleLeftoversAsync(now - options.Gc.Grace, token);
        }

        if (await blobs.RemoveUnfinishedAsync(isDryRun, token) is { Count: > 0 } unfinished)
        {
            tally.Add(GarbageKind.Unfinished, $"{unfinished.Count} files", unfinished.SizeBytes);
        }

        await new PastPurge(store, disposal, options, tally, time).RunAsync(isDryRun, token);
        var eviction = new TarballEviction(store, disposal, options, tally, time);
        var evicted = await eviction.RunAsync(isDryRun, token);
        await CollectUnreferencedAsync(isDryRun, disposal, now - options.Gc.Grace, tally, token);
        await CollectAttestationsAsync(isDryRun, tally, token);
        var forgotten = isDryRun ? 0 : await store.Tarballs.ForgetAccessAsync(DateOnly.FromDateTime((now - options.Gc.AccessRetention).UtcDateTime), token);
        var held = (await store.CountAsync(token)).TarballBytes - (isDryRun ? evicted : 0);
        return new Collected
        {
            IsDryRun = isDryRun,
            Kinds = tally.Kinds,
            HeldBytes = held,
            IrreplaceableBytes = eviction.IrreplaceableBytes,
            OverBudgetBytes = options.Gc.MaxBytes == 0 ? 0 : Math.Max(0, held - options.Gc.MaxBytes),
            ForgottenAccesses = forgotten,
        };
    }

    private async Task CollectAttestationsAsync(bool isDryRun, CollectionTally tally, CancellationToken cancellationToken)
    {
        using var kept = new KeptAttestations(store.Kept, store.Packages, options, time);
        await foreach (var (path, sizeBytes) in kept.ListUselessAsync(cancellationToken))
        {
            if (!isDryRun)
            {
                await store.Kept.KeepAsync(path, null, cancellationToken);
            }

            tally.Add(GarbageKind.Attestation, path, sizeBytes);
        }
    }

    private async Task CollectUnreferencedAsync(bool isDryRun, BlobDisposal disposal, DateTimeOffset youngest, CollectionTally tally, CancellationToken cancellationToken)
    {
        await foreach (var blob in blobs.ListAsync(cancellationToken))
        {
            if (blob.StoredAt > youngest)
            {
                continue;
            }

            var freed = !isDryRun
                ? await disposal.TryDeleteAsync(blob.Sha512, youngest, cancellationToken)
                : await store.Tarballs.IsReferencedAsync(blob.Sha512, cancellationToken) ? null : blob.SizeBytes;
            if (freed is { } sizeBytes)
            {
                tally.Add(GarbageKind.Unreferenced, blob.Sha512.Hex, sizeBytes);
            }
        }
    }
}
