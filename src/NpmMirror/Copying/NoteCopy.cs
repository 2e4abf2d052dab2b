using NpmMirror.Maintenance;
using NpmMirror.Notes;
using NpmMirror.Storage;

namespace NpmMirror.Copying;

/// <summary>Makes the target's notes and kept documents equal to the source's.</summary>
internal sealed class NoteCopy(IMetadataStore source, IMetadataStore target, CopyTally tally)
{
    // Of a store and its processes, not of the mirror: they would be untrue in another store.
    private static readonly HashSet<string> OfTheStore = [MirrorCursors.Copy, MirrorCursors.Leader, MirrorCursors.Nodes, VerifyMarks.Cursor];

    internal async Task CopyKeptAsync(CancellationToken cancellationToken)
    {
        tally.BeginPart("kept documents");
        var paths = MergedLists.WalkAsync(source.Kept.ListKeptAsync("", cancellationToken).Select(mark => mark.Path), target.Kept.ListKeptAsync("", cancellationToken).Select(mark => mark.Path), Utf8Order.Instance.Compare, cancellationToken);
        await foreach (var (path, copiedPath) in paths)
        {
            tally.Look();
            var document = path is null ? null : await source.Kept.FindKeptAsync(path, cancellationToken);
            var copied = copiedPath is null ? null : await target.Kept.FindKeptAsync(copiedPath, cancellationToken);
            if (!(document is { } kept && copied is { } same && kept.Span.SequenceEqual(same.Span)) && (document is not null || copied is not null))
            {
                await target.Kept.KeepAsync((path ?? copiedPath)!, document, cancellationToken);
                tally.Copy();
            }
        }
    }

    internal async Task CopyNotesAsync(CancellationToken cancellationToken)
    {
        tally.BeginPart("notes");
        var keys = MergedLists.WalkAsync(source.Notes.ListNotesAsync("", cancellationToken).Select(mark => mark.Key), target.Notes.ListNotesAsync("", cancellationToken).Select(mark => mark.Key), Utf8Order.Instance.Compare, cancellationToken);
        await foreach (var (key, copiedKey) in keys)
        {
            if (OfTheStore.Contains((key ?? copiedKey)!))
            {
                continue;
            }

            tally.Look();
            var text = key is null ? null : await source.Notes.FindNoteAsync(key, cancellationToken);
            if (text != (copiedKey is null ? null : await target.Notes.FindNoteAsync(copiedKey, cancellationToken)))
            {
                await target.Notes.SetNoteAsync((key ?? copiedKey)!, text, cancellationToken);
                tally.Copy();
            }
        }
    }
}
