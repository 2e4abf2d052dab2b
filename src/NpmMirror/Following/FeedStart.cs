using NpmMirror.Feeds;
using NpmMirror.Notes;
using NpmMirror.Storage;

namespace NpmMirror.Following;

/// <summary>
/// Where following begins: a configured sequence (<c>last_seq</c>) beats the stored cursor; a stored one counts only for the same feed in the same
/// life of its database; else the head is noted and a walk comes first. The monitor finds out itself if the feed was reset to before its cursor.
/// </summary>
internal sealed class FeedStart(INoteTable notes, KnownUpstream known)
{
    /// <summary>Asks the feed for its information; from now on revs belong to that life of its database.</summary>
    public async Task<FeedInfo> AskAsync(IChangeFeed feed, CancellationToken cancellationToken)
    {
        var info = await feed.GetInfoAsync(cancellationToken);
        known.Note(known.Identity with { DatabaseId = info.DatabaseId });
        return info;
    }

    /// <summary>Asks the feed and the store. A feed that was reset while it was followed needs the walk, whatever the store holds.</summary>
    public async Task<Start> FindAsync(IChangeFeed feed, bool isReset, Sequence? given, CancellationToken cancellationToken)
    {
        var info = await AskAsync(feed, cancellationToken);
        if (isReset)
        {
            return new Start(info, info.Head, true);
        }

        if (given is { } since)
        {
            return new Start(info, since.Text == "now" ? info.Head : since, false);
        }

        // A walk that was cut short is repeated, even if an earlier cursor looks good again because the feed has grown past it.
        var read = await notes.FindNoteAsync(MirrorCursors.Read, cancellationToken);
        var location = await notes.FindNoteAsync(MirrorCursors.Feed, cancellationToken);
        var isSameFeed = location == IdOf(feed, info);
        var isWalking = await notes.FindNoteAsync(MirrorCursors.WalkHead, cancellationToken) is not null;
        if (read is null && location is null && !isWalking && await notes.FindNoteAsync(MirrorCursors.Handled, cancellationToken) is { } earlier && !info.Head.IsBefore(new Sequence(earlier)))
        {
            return new Start(info, new Sequence(earlier), false) { IsOfEarlierTool = true };
        }

        return read is null || isWalking || !isSameFeed
            ? new Start(info, info.Head, true)
            : new Start(info, new Sequence(read), false);
    }

    private static string IdOf(IChangeFeed feed, FeedInfo info) => $"{feed.Location}#{info.DatabaseId}";

    /// <summary>A place to begin.</summary>
    /// <param name="Info">The feed's information.</param>
    /// <param name="Since">Where to read on, unless a walk comes first.</param>
    /// <param name="NeedsWalk">Whether everything wanted must be queued first; then following begins at the noted head.</param>
    internal sealed record Start(FeedInfo Info, Sequence Since, bool NeedsWalk)
    {
        /// <summary>Whether the cursor is that of an earlier tool, which noted no feed.</summary>
        public bool IsOfEarlierTool { get; init; }

        /// <summary>Notes which feed the cursors belong to.</summary>
        public async ValueTask NoteAsync(INoteTable notes, IChangeFeed feed, string upstreamIdentity, bool isGiven, CancellationToken cancellationToken)
        {
            if (!NeedsWalk && await notes.FindNoteAsync(MirrorCursors.Feed, cancellationToken) != IdOf(feed, Info))
            {
                // An explicit last_seq: the kept trail belongs to another feed.
                await notes.SetNoteAsync(MirrorCursors.Trail, null, cancellationToken);
            }

            await notes.SetNoteAsync(MirrorCursors.Feed, IdOf(feed, Info), cancellationToken);
            if ((isGiven || IsOfEarlierTool) && !NeedsWalk)
            {
                // At once: a process that ends before the first change goes on here, and "now" is the moment of this start.
                await notes.SetNoteAsync(MirrorCursors.Read, Since.Text, cancellationToken);
                await notes.SetNoteAsync(MirrorCursors.Handled, Since.Text, cancellationToken);
            }

            await notes.SetNoteAsync(MirrorCursors.Upstream, upstreamIdentity, cancellationToken);
            if (!NeedsWalk && await notes.FindNoteAsync(MirrorCursors.Read, cancellationToken) == Since.Text && await notes.FindNoteAsync(MirrorCursors.Handled, cancellationToken) != Since.Text)
            {
                // A process died between the two: the names up to here are in the queue, and without a further change no row would tell.
                await notes.SetNoteAsync(MirrorCursors.Handled, Since.Text, cancellationToken);
            }
        }
    }
}
