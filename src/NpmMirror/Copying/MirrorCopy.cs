using NpmMirror.Following;
using NpmMirror.Maintenance;
using NpmMirror.Notes;
using NpmMirror.Storage;

namespace NpmMirror.Copying;

/// <summary>
/// Copies a whole mirror into another store, of any engine: makes the target equal to the source, pass by pass, until a pass finds no difference. So a copy that was cut
/// short is gone on with, a finished one is brought up to date, and the last pass is its verification. Streaming, in bounded memory.
/// </summary>
/// <param name="source">The mirror's store. It is read, and events that wait get their numbers.</param>
/// <param name="target">An empty store, or an earlier copy of this mirror; no mirror may work on it.</param>
/// <param name="blobs">The places of the tarballs' bytes, both or none: without them the bytes stay where they are.</param>
/// <param name="time">The clock.</param>
public sealed class MirrorCopy(IMetadataStore source, IMetadataStore target, (IBlobStore Source, IBlobStore Target)? blobs, TimeProvider time)
{
    /// <summary>Enough for a source that is written to now and then.</summary>
    private const int PassesMax = 5;

    /// <summary>Runs.</summary>
    /// <exception cref="MirrorException">One of the stores cannot be used, or the target is no copy of this source, or the source is damaged.</exception>
    public async Task<CopySummary> RunAsync(CopyRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        var import = target.Import ?? throw new MirrorException(MirrorFault.BadInput, $"The engine of {target.Location} cannot take in a copy; name a store of another engine.");
        if (source.Earlier is { } earlier && await earlier.ListAsync(cancellationToken).AnyAsync(cancellationToken))
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"{source.Location} has packuments of an earlier tool that no mirror has taken over yet; run npm-mirror serve with it first.");
        }

        await CopyNote.RequireFinishedAsync(source, cancellationToken);
        await using var lease = await MaintenanceLease.TakeAsync(target, "copy", time, cancellationToken);

        // A mirror on the target would write what its upstream says between the rows of the source.
        await using var lead = await MaintenanceLease.TryTakeAsync(target, Leadership.LeaseName, time, lease.Token)
            ?? throw new MirrorException(MirrorFault.StoreUnavailable, $"A mirror works on {target.Location}, or was killed there a moment ago; stop it, then run copy again.", isTransient: true);
        try
        {
            return await RunAsync(import, new CopyTally(request), lead.Token);
        }
        catch (OperationCanceledException) when (lead.IsLost || lease.IsLost)
        {
            throw lease.Lost();
        }
    }

    private async Task<CopySummary> RunAsync(IImportTable import, CopyTally tally, CancellationToken cancellationToken)
    {
        var (note, isContinued) = await BeginAsync(cancellationToken);
        var isFinished = false;
        for (var pass = 1; pass <= PassesMax && !isFinished; pass++)
        {
            var head = await PassAsync(import, tally, isFirst: pass == 1, cancellationToken);
            isFinished = tally.Changes == 0 && head == await source.Log.ReadHeadAsync(cancellationToken) && head == await target.Log.ReadHeadAsync(cancellationToken);
        }

        var counts = await target.CountAsync(cancellationToken);
        var end = await target.Log.ReadHeadAsync(cancellationToken);
        if (isFinished)
        {
            if (counts != tally.Seen)
            {
                tally.Find(target.Location, $"The target's counters tell {counts}, and the source's rows are {tally.Seen}.");
            }

            await (note with { FinishedAt = time.GetUtcNow(), Position = end.Position.Value }).KeepAsync(target, cancellationToken);
        }

        return new CopySummary
        {
            IsFinished = isFinished,
            IsContinued = isContinued,
            Head = end,
            Counts = counts,
            Copied = tally.Copied,
            BlobBytes = tally.BlobBytes,
            Left = tally.Changes,
            Found = tally.Found,
        };
    }

    /// <summary>Makes all equal, part by part. Returns the source's head of before.</summary>
    private async Task<LogHead> PassAsync(IImportTable import, CopyTally tally, bool isFirst, CancellationToken cancellationToken)
    {
        tally.BeginPass();
        foreach (var store in (IMetadataStore[])[source, target])
        {
            while (await store.Log.NumberEventsAsync(cancellationToken) > 0)
            {
                // More may wait.
            }
        }

        var head = await source.Log.ReadHeadAsync(cancellationToken);
        using var packages = new PackageCopy(source, target, import, tally);
        var tarballs = new TarballCopy(source, target, tally);
        var notes = new NoteCopy(source, target, tally);
        await packages.RunAsync(cancellationToken);
        await new LogCopy(source, target, import, packages, tally).RunAsync(cancellationToken);
        var before = tally.Changes;
        await tarballs.CopyRowsAsync(cancellationToken);
        var areTarballsChanged = tally.Changes > before;
        await tarballs.CopyAccessesAsync(cancellationToken);
        await notes.CopyKeptAsync(cancellationToken);
        await new QueueCopy(source, target, tally, time).RunAsync(cancellationToken);
        await notes.CopyNotesAsync(cancellationToken);

        // After their rows: gc deletes no bytes that a row names.
        if (blobs is { } places && (isFirst || areTarballsChanged))
        {
            await new BlobCopy(source, places.Source, places.Target, tally).RunAsync(cancellationToken);
        }

        return head;
    }

    private async Task<(CopyNote Note, bool IsContinued)> BeginAsync(CancellationToken cancellationToken)
    {
        var instance = await source.Notes.FindNoteAsync(MirrorCursors.Instance, cancellationToken) ?? "";
        var earlier = await CopyNote.ReadAsync(target, cancellationToken);
        if (await IsEmptyAsync(source, cancellationToken))
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"{source.Location} holds no mirror; name the place of one.");
        }

        if (earlier is null && !await IsEmptyAsync(target, cancellationToken))
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"{target.Location} holds a mirror already; name an empty place.");
        }

        if (earlier is not null)
        {
            await RequireOfThisSourceAsync(earlier, instance, cancellationToken);
        }

        var note = new CopyNote(instance, time.GetUtcNow(), null, 0);
        await note.KeepAsync(target, cancellationToken);
        return (note, earlier is not null);
    }

    private static async ValueTask<bool> IsEmptyAsync(IMetadataStore store, CancellationToken cancellationToken) =>
        (await store.Log.ReadHeadAsync(cancellationToken)).Position == LogPosition.Zero
        && !await store.Packages.ListMarksAsync("", isRemoved: false, cancellationToken).AnyAsync(cancellationToken)
        && !await store.Packages.ListMarksAsync("", isRemoved: true, cancellationToken).AnyAsync(cancellationToken)
        && !await store.Tarballs.ListTarballsAsync(null, cancellationToken).AnyAsync(cancellationToken)
        && !await store.Queue.ListQueuedAsync(cancellationToken).AnyAsync(cancellationToken);

    private async Task RequireOfThisSourceAsync(CopyNote earlier, string instance, CancellationToken cancellationToken)
    {
        var head = await target.Log.ReadHeadAsync(cancellationToken);
        var row = await source.Log.ReadLogAsync(new LogPosition(Math.Max(0, head.Position.Value - 1)), cancellationToken).FirstOrDefaultAsync(cancellationToken);
        if (earlier.Source != instance || (head.Position != LogPosition.Zero && (row?.Position, row?.Hash) != (head.Position, head.Hash)))
        {
            throw new MirrorException(
                MirrorFault.StoreUnavailable,
                $"{target.Location} is the copy of another mirror, or was gone on with by itself: the log of {source.Location} does not lead through its head {head.Position}; name an empty place.");
        }
    }
}
