using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Log;
using NpmMirror.Notes;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>
/// Takes over the packuments of an earlier tool: each gets its row, as of a package that is seen for the first time. It may be ended at any point and goes on at the
/// next start.
/// </summary>
internal sealed partial class EarlierMirror(IMetadataStore store, TimeProvider time, ILogger logger)
{
    private const int ProgressEvery = 10_000;

    /// <summary>Takes over all; returns at once if there are none.</summary>
    internal async Task TakeOverAsync(CancellationToken cancellationToken)
    {
        if (store.Earlier is not { } earlier)
        {
            return;
        }

        var (taken, left) = (0, 0);
        await foreach (var document in earlier.ListAsync(cancellationToken))
        {
            try
            {
                if ((await store.Packages.CommitAsync(CommitOf(document), cancellationToken)).IsCommitted && ++taken % ProgressEvery == 0)
                {
                    LogProgress(taken);
                }
            }
            catch (MirrorException failure) when (failure.Fault is MirrorFault.UpstreamMalformed)
            {
                left++;
                LogLeft(document.Name, failure.Message);
            }
        }

        if (taken > 0 && await store.Notes.FindNoteAsync(MirrorCursors.Handled, cancellationToken) is null)
        {
            // A database without a cursor: the changes are read from the beginning.
            await store.Notes.SetNoteAsync(MirrorCursors.Handled, Sequence.Zero.Text, cancellationToken);
        }

        await earlier.CompleteAsync(cancellationToken);
        if (taken > 0 || left > 0)
        {
            LogTaken(taken, left);
        }
    }

    private PackageCommit CommitOf(EarlierDocument document)
    {
        var index = PackumentReader.Read(document.Json.Span, document.Name).Index;
        var now = time.GetUtcNow();
        var removal = index.IsUnpublished ? RemovalKind.Unpublished : document.IsRemoved ? RemovalKind.Gone : index.IsSecurityHolder ? RemovalKind.SecurityHolder : (RemovalKind?)null;
        List<PendingEvent> events = [EventPayload.ToPending(DocumentEvents.OfFirstSight(index, now), 0)];
        if (removal is { } kind)
        {
            events.Add(EventPayload.ToPending(new PackageRemoved(kind, null, null) { SeenAt = now, UpstreamRev = index.Rev }, 1));
        }

        return new PackageCommit
        {
            Name = document.Name,
            ExpectedGeneration = 0,
            Facts = new PackageFacts { Removal = removal, Rev = index.Rev, ModifiedAt = index.ModifiedAt, FirstSeenAt = now, StoredAt = now },
            Document = DocumentCodecs.Encode(document.Json.Span),
            Index = index.ToBytes(),
            Events = events,
            IsPatient = true,
        };
    }

    [LoggerMessage(EventIds.Mirror + 75, LogLevel.Information, "Taking over the packuments of an earlier tool: {Taken} so far")]
    private partial void LogProgress(int taken);

    [LoggerMessage(EventIds.Mirror + 71, LogLevel.Information, "Took over {Taken} packuments of an earlier tool; {Left} could not be read and are left as they are")]
    private partial void LogTaken(int taken, int left);

    [LoggerMessage(EventIds.Mirror + 72, LogLevel.Warning, "The packument of {Package} that an earlier tool left is not taken over; it is fetched when it is asked for: {Reason}")]
    private partial void LogLeft(PackageName package, string reason);
}
