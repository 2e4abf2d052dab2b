using NpmMirror.Following;
using NpmMirror.Notes;
using NpmMirror.Removals;
using NpmMirror.Searching;
using NpmMirror.Storage;

namespace NpmMirror.Hosting;

/// <summary>The contents, progress and failures of a mirror. Read from the store, so that another process can tell them too.</summary>
/// <param name="Store">The location of the metadata.</param>
/// <param name="Blobs">The location of the tarballs.</param>
/// <param name="Counts">How many packages are held, removed and queued.</param>
/// <param name="Log">The head of the log.</param>
/// <param name="Upstream">The upstream of the last fetches; null in a store that knows none yet.</param>
/// <param name="Feed">The feed, and how far it was followed.</param>
/// <param name="Reconciliation">The last comparison with the upstream's list.</param>
/// <param name="UnfinishedReconciliation">A comparison that was begun and has not ended.</param>
/// <param name="NextDue">When the next queued package is due.</param>
/// <param name="Writable">Whether store and blobs can be written.</param>
/// <param name="WhyNotWritable">The reason if they cannot be written.</param>
/// <param name="Errors">Some of the packages whose last try failed.</param>
/// <param name="GivenUp">Packages that are not tried any more.</param>
/// <param name="Removals">Whether removals are held back, and why.</param>
/// <param name="Pauses">The pauses in requests to the upstream.</param>
/// <param name="Leader">The node that followed the feed last, where several share the store; else null.</param>
/// <param name="Nodes">The nodes that share the store; none where it is for one machine.</param>
public sealed record MirrorStatus(
    string Store,
    string Blobs,
    StoreCounts Counts,
    MirrorStatus.LogStatus Log,
    MirrorStatus.UpstreamStatus? Upstream,
    MirrorStatus.FeedStatus Feed,
    Reconciliation? Reconciliation,
    UnfinishedReconciliation? UnfinishedReconciliation,
    DateTimeOffset? NextDue,
    bool Writable,
    string? WhyNotWritable,
    IReadOnlyList<MirrorStatus.ErrorStatus> Errors,
    IReadOnlyList<GivenUp> GivenUp,
    RemovalState Removals,
    IReadOnlyList<NotedPause> Pauses,
    string? Leader,
    IReadOnlyList<NotedNode> Nodes)
{
    private const int ErrorsMax = 10;

    // A full mirror may have millions of names queued. Failures are among the first of them, or soon will be.
    private const int ScannedMax = 100_000;

    /// <summary>The search index; null if there is none here. <see cref="ReadAsync"/> does not look for one.</summary>
    public SearchStatus? Search { get; init; }

    /// <summary>Reads it.</summary>
    /// <exception cref="MirrorException">The store cannot be read.</exception>
    public static async Task<MirrorStatus> ReadAsync(IMetadataStore store, IBlobStore blobs, TimeProvider time, CancellationToken cancellationToken)
    {
        var head = await store.Log.ReadHeadAsync(cancellationToken);
        var feed = new FeedStatus(
            await store.Notes.FindNoteAsync(MirrorCursors.Upstream, cancellationToken),
            await store.Notes.FindNoteAsync(MirrorCursors.Feed, cancellationToken),
            await store.Notes.FindNoteAsync(MirrorCursors.Read, cancellationToken),
            await store.Notes.FindNoteAsync(MirrorCursors.Handled, cancellationToken),
            await store.Notes.FindNoteAsync(MirrorCursors.WalkHead, cancellationToken) is not null,
            FollowingState.Parse(await store.Notes.FindNoteAsync(MirrorCursors.Trail, cancellationToken)));
        var trouble = await store.CheckWritableAsync(cancellationToken) ?? await blobs.CheckWritableAsync(cancellationToken);
        return new MirrorStatus(
            store.Location,
            blobs.Location,
            await store.CountAsync(cancellationToken),
            new LogStatus(head.Position.Value, head.Hash.ToString()),
            await UpstreamChoice.FindNotedAsync(store.Notes, cancellationToken) is { } noted ? new UpstreamStatus(noted, UpstreamChoice.AsNoted) : null,
            feed,
            await Reconciliation.ReadAsync(store.Notes, cancellationToken),
            await UnfinishedReconciliation.ReadAsync(store.Notes, cancellationToken),
            await store.Queue.NextDueAsync(cancellationToken),
            trouble is null,
            trouble,
            await ReadErrorsAsync(store, cancellationToken),
            await GivenUpPackages.ReadAsync(store.Notes, cancellationToken),
            await RemovalState.ReadAsync(store, cancellationToken),
            await NotedPause.ReadAsync(store.Notes, time.GetUtcNow(), cancellationToken),
            (await store.Notes.FindNoteAsync(MirrorCursors.Leader, cancellationToken))?.Split(' ')[0],
            await NotedNode.ReadAsync(store.Notes, cancellationToken));
    }

    private static async Task<IReadOnlyList<ErrorStatus>> ReadErrorsAsync(IMetadataStore store, CancellationToken cancellationToken)
    {
        var errors = new List<ErrorStatus>();
        await foreach (var item in store.Queue.ListQueuedAsync(cancellationToken).Take(ScannedMax).Where(item => item.LastError is not null).Take(ErrorsMax))
        {
            errors.Add(new ErrorStatus(item.Name.Value, item.LastError!, item.Attempts, item.DueAt));
        }

        return errors;
    }

    /// <summary>The upstream.</summary>
    /// <param name="Address">Its address, credentials hidden.</param>
    /// <param name="From">The source of the address.</param>
    public sealed record UpstreamStatus(string Address, string From);

    /// <summary>The feed that is followed.</summary>
    /// <param name="Upstream">The upstream's identity: its address, and its database's name if that is known.</param>
    /// <param name="Location">The feed's address; null if none was followed yet.</param>
    /// <param name="Read">The sequence up to which names are queued.</param>
    /// <param name="Handled">The sequence up to which each package was tried.</param>
    /// <param name="IsFirstWalk">Whether the first walk over everything is not done yet.</param>
    /// <param name="Following">The recent state of following.</param>
    public sealed record FeedStatus(string? Upstream, string? Location, string? Read, string? Handled, bool IsFirstWalk, FollowingState Following);

    /// <summary>The head of the log.</summary>
    /// <param name="Position">Its position.</param>
    /// <param name="Hash">The hash of everything up to it.</param>
    public sealed record LogStatus(long Position, string Hash);

    /// <summary>The search index of this machine.</summary>
    /// <param name="Location">Its file.</param>
    /// <param name="Position">The log position up to which it is right.</param>
    /// <param name="Lag">The rows of the log that it has not taken in.</param>
    /// <param name="IsBuilding">Whether it is not complete yet.</param>
    /// <param name="Packages">The packages in it.</param>
    /// <param name="SizeBytes">Its bytes.</param>
    public sealed record SearchStatus(string Location, long Position, long Lag, bool IsBuilding, long Packages, long SizeBytes)
    {
        /// <summary>Reads it beside a process that may write it; null if there is none.</summary>
        /// <param name="index">The index, not opened.</param>
        /// <param name="head">The head of the log.</param>
        /// <param name="cancellationToken">Cancels.</param>
        public static async Task<SearchStatus?> ReadAsync(ISearchIndex index, LogStatus head, CancellationToken cancellationToken)
        {
            if (await index.PeekAsync(cancellationToken) is not { } mark)
            {
                return null;
            }

            var (packages, size) = index.Count();
            return new SearchStatus(index.Location, mark.Head.Position.Value, Math.Max(head.Position - mark.Head.Position.Value, 0), mark.Built is not null, packages, size);
        }
    }

    /// <summary>A package whose last try failed.</summary>
    /// <param name="Package">Its name.</param>
    /// <param name="Error">The reason.</param>
    /// <param name="Attempts">The number of tries.</param>
    /// <param name="NextTry">The time of the next try.</param>
    public sealed record ErrorStatus(string Package, string Error, int Attempts, DateTimeOffset NextTry);
}
