using System.Globalization;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>
/// Carries out <c>removed.*=purge</c>: drops the tarballs of removed packages and versions, the documents of the past that hold their manifests, and the payloads that
/// quote them. The events stay, with their digests: subject, time and kind. Packages and versions that came back are left alone.
/// </summary>
internal sealed class PastPurge(IMetadataStore store, BlobDisposal disposal, MirrorOptions options, CollectionTally tally, TimeProvider time)
{
    private const string Cursor = "gc:purged";
    private const int MarkEvery = 10_000;
    private const int TriesMax = 5;

    private RemovedOptions Removed => options.Removed;

    /// <summary>Purges removals since the last time, or all of them if the options have changed.</summary>
    internal async Task RunAsync(bool isDryRun, CancellationToken cancellationToken)
    {
        RemovedMode[] modes = [Removed.Unpublished, Removed.Gone, Removed.SecurityHolder, Removed.Blocked];
        if (!modes.Contains(RemovedMode.Purge))
        {
            return;
        }

        var settings = string.Join(',', modes);
        var known = (await store.Notes.FindNoteAsync(Cursor, cancellationToken))?.Split('@');
        var position = known is [var then, var text] && then == settings ? new LogPosition(long.TryParse(text, CultureInfo.InvariantCulture, out var kept) ? kept : 0) : LogPosition.Zero;
        PackageName? last = null;
        await foreach (var row in store.Log.ReadLogAsync(position, cancellationToken))
        {
            if (row.Package != last && IsOne(row))
            {
                await PurgeAsync(row.Package, isDryRun, cancellationToken);
                last = row.Package;
            }

            position = row.Position;
            if (position.Value % MarkEvery == 0)
            {
                await MarkAsync(settings, position, isDryRun, cancellationToken);
            }
        }

        await MarkAsync(settings, position, isDryRun, cancellationToken);
    }

    private async ValueTask MarkAsync(string settings, LogPosition position, bool isDryRun, CancellationToken cancellationToken)
    {
        if (!isDryRun)
        {
            await store.Notes.SetNoteAsync(Cursor, string.Create(CultureInfo.InvariantCulture, $"{settings}@{position.Value}"), cancellationToken);
        }
    }

    private bool IsOne(LogRow row) => row.Type switch
    {
        EventTypes.PackageRemoved => EventPayload.FromRow(row) is PackageRemoved removed && Removed.ModeOf(removed.Kind) == RemovedMode.Purge,
        EventTypes.VersionRemoved => Removed.Unpublished == RemovedMode.Purge,
        _ => false,
    };

    private async Task PurgeAsync(PackageName name, bool isDryRun, CancellationToken cancellationToken)
    {
        for (var tries = 0; tries < TriesMax; tries++)
        {
            // A damaged row is no reason to drop anything: its package is purged after it was fetched anew.
            if (await store.Packages.FindAsync(name, cancellationToken) is not { Damage: null } row || PackumentIndex.TryFromBytes(row.Index.Span, row.Name) is null)
            {
                return;
            }

            var plan = await PurgePlan.MakeAsync(store.Packages, store.Log, row, Removed, cancellationToken);
            await PurgeTarballsAsync(name, plan, isDryRun, cancellationToken);
            var bytes = plan.SizeBytes;
            if (bytes == 0 || isDryRun || await store.Packages.PurgeAsync(new PackagePurge(name, row.Generation, plan.Payloads, plan.Documents), cancellationToken) is not null)
            {
                if (bytes > 0)
                {
                    tally.Add(GarbageKind.Purged, name.Value, bytes);
                }

                return;
            }

            // Written meanwhile: it may be back.
        }

        throw WrittenMeanwhile(name.Value);
    }

    private async Task PurgeTarballsAsync(PackageName name, PurgePlan plan, bool isDryRun, CancellationToken cancellationToken)
    {
        var settled = time.GetUtcNow() - TarballEviction.SettledAfter;
        await foreach (var listed in store.Tarballs.ListTarballsAsync(name, cancellationToken).Where(row => row.State == TarballState.Held && plan.Takes(row.Version)))
        {
            if (!isDryRun)
            {
                await ForgetAsync(listed, cancellationToken);
                await disposal.TryDeleteAsync(listed.Sha512, settled, cancellationToken);
            }

            tally.Add(GarbageKind.Purged, $"{name}/{listed.File}", listed.SizeBytes);
        }
    }

    private async Task ForgetAsync(TarballRow listed, CancellationToken cancellationToken)
    {
        var row = listed;
        for (var tries = 0; row is not null && !await store.Tarballs.ForgetTarballAsync(row, cancellationToken); tries++)
        {
            if (tries == TriesMax)
            {
                throw WrittenMeanwhile($"{listed.Package}/{listed.File}");
            }

            // Served or verified since it was read.
            row = await store.Tarballs.FindTarballAsync(listed.Package, listed.File, cancellationToken);
        }
    }

    private static MirrorException WrittenMeanwhile(string subject) =>
        new(MirrorFault.StoreUnavailable, $"{subject} was written by other processes {TriesMax} times in a row; run gc again.", isTransient: true);
}
