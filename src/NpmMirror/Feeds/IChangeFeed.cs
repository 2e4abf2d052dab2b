namespace NpmMirror.Feeds;

/// <summary>One row of an upstream's change feed. A hint, not a fact: the packument may still be older, or newer.</summary>
/// <param name="Sequence">Its place in the feed.</param>
/// <param name="Id">The id as sent; not always a package name.</param>
/// <param name="Rev">The newest rev it names, or null.</param>
/// <param name="IsDeleted">Whether it is flagged as deleted.</param>
internal sealed record ChangeRow(Sequence Sequence, string Id, string? Rev, bool IsDeleted);

/// <summary>Some rows of a feed, and the sequence after them.</summary>
/// <param name="Rows">The rows, in the feed's order.</param>
/// <param name="LastSequence">Where to go on from.</param>
/// <param name="IsAtHead">True when the feed had no more rows at that moment.</param>
internal sealed record ChangesPage(IReadOnlyList<ChangeRow> Rows, Sequence LastSequence, bool IsAtHead)
{
    /// <summary>The texts that were in the place of rows, each as a sentence; they were skipped, so that nothing malformed stops a follower.</summary>
    public IReadOnlyList<string> Skipped { get; init; } = [];
}

/// <summary>The information that an upstream's feed gives about itself.</summary>
/// <param name="Head">Its newest sequence.</param>
/// <param name="DocumentCount">The number of its documents, if it tells.</param>
/// <param name="DatabaseId">A name for this database's life (uuid, instance_start_time or db_name), if it tells; another name means another sequence space.</param>
internal sealed record FeedInfo(Sequence Head, long? DocumentCount, string? DatabaseId)
{
    /// <summary>Whether it is another npm-mirror that tells, when asked, which packages were removed.</summary>
    public bool IsMirror { get; init; }

    /// <summary>The hash of all that another npm-mirror has told up to <see cref="Head"/>, if it is one.</summary>
    public string? LogHash { get; init; }

    /// <summary>True when the head lies before a cursor taken from the same feed: its database was reset or restored, if <see cref="IsExact"/>.</summary>
    public bool IsBefore(Sequence cursor) => Head.IsBefore(cursor);

    /// <summary>
    /// Whether one answer is proof: plain numbers come from one counter. The number that a cluster puts before its opaque sequences is a sum over
    /// shards, and a node that lags the others answers a smaller one.
    /// </summary>
    public bool IsExact(Sequence cursor) => Head.Number is not null && cursor.Number is not null;
}

/// <summary>One id of an upstream's list of everything.</summary>
internal sealed record ListedPackage(string Id, string? Rev)
{
    /// <summary>Whether it is listed as removed.</summary>
    public bool IsRemoved { get; init; }

    /// <summary>When it changed last, if the list tells that in the place of revs.</summary>
    public DateTimeOffset? ModifiedAt { get; init; }
}

/// <summary>An upstream's change feed, in one dialect. It knows how to ask and how to read; when to ask and what to do is the monitor's.</summary>
internal interface IChangeFeed
{
    /// <summary>Where the feed is, without secrets; two feeds with different locations never share a cursor.</summary>
    string Location { get; }

    /// <summary>How long to wait after a page that reached the head before asking again; zero if the feed itself waits.</summary>
    TimeSpan IdleDelay { get; }

    /// <summary>Roughly how many sequences before its head rows may still appear; zero if rows come in order.</summary>
    long LateSequences => 0;

    /// <summary>Asks the feed for its information.</summary>
    Task<FeedInfo> GetInfoAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Pages after <paramref name="since"/>. One enumeration is one connection (continuous) or one request (the others): it ends when
    /// that ends, and the caller enumerates again. Nothing is lost or doubled by ending early. <paramref name="onAccepted"/> is called when the upstream accepted the request.
    /// </summary>
    /// <exception cref="MirrorException">Trouble, with whether and when to retry.</exception>
    IAsyncEnumerable<ChangesPage> ReadAsync(Sequence since, Action? onAccepted, CancellationToken cancellationToken);

    /// <summary>The first rows after a sequence, at once and <paramref name="rowsMax"/> at most; none if the feed cannot be read from any place.</summary>
    Task<IReadOnlyList<ChangeRow>> ReadRowsAsync(Sequence since, int rowsMax, CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<ChangeRow>>([]);

    /// <summary>The hash of all that another npm-mirror has told up to a position of its log; null if it does not say, and at any other feed.</summary>
    Task<string?> ReadLogHashAsync(long position, CancellationToken cancellationToken) => Task.FromResult<string?>(null);

    /// <summary>The newest rows, the oldest of them first; nothing if the feed cannot be read from its end.</summary>
    Task<IReadOnlyList<ChangeRow>> ReadNewestAsync(int rowsMax, CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<ChangeRow>>([]);

    /// <summary>Everything the upstream lists, in its own order, streamed; after trouble that passed an id may come twice.</summary>
    IAsyncEnumerable<ListedPackage> ListAllAsync(CancellationToken cancellationToken);

    /// <summary>Whether the upstream lists an id; null if it has no list, or does not answer such a question.</summary>
    /// <exception cref="MirrorException">Trouble.</exception>
    Task<bool?> IsListedAsync(string id, CancellationToken cancellationToken) => Task.FromResult<bool?>(null);

    /// <summary>Everything that another npm-mirror knows to be removed; nothing at any other feed.</summary>
    IAsyncEnumerable<ListedPackage> ListRemovedAsync(CancellationToken cancellationToken) => AsyncEnumerable.Empty<ListedPackage>();
}
