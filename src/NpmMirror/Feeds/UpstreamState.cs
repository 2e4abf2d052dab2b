using NpmMirror.Upstream;

namespace NpmMirror.Feeds;

/// <summary>The known state of the upstream at one moment.</summary>
/// <param name="Identity">Its name in stored rows.</param>
/// <param name="Feed">Its change feed, which also lists its packages.</param>
internal sealed record UpstreamState(UpstreamIdentity Identity, UpstreamFeed Feed);

/// <summary>The known state of an upstream's change feed: a closed family.</summary>
internal abstract record UpstreamFeed
{
    private UpstreamFeed()
    {
    }

    /// <summary>It is being found out whether there is one, so that nothing can be asked of its list yet.</summary>
    public sealed record Seeking : UpstreamFeed;

    /// <summary>There is none, or none is wanted.</summary>
    public sealed record None : UpstreamFeed;

    /// <summary>There is one.</summary>
    /// <param name="Feed">The feed.</param>
    public sealed record Found(IChangeFeed Feed) : UpstreamFeed;
}

/// <summary>Holds the known state of the upstream. The value in it never changes; it is replaced as a whole.</summary>
internal sealed class KnownUpstream
{
    private UpstreamState _state;

    /// <summary>Nothing but the address is known yet.</summary>
    public KnownUpstream(Uri baseUrl) => _state = new UpstreamState(UpstreamIdentity.Of(baseUrl, null), new UpstreamFeed.None());

    /// <summary>The present state.</summary>
    public UpstreamState State => Volatile.Read(ref _state);

    /// <summary>The upstream's name in stored rows.</summary>
    public UpstreamIdentity Identity => State.Identity;

    /// <summary>Notes the identity of the upstream's database.</summary>
    internal void Note(UpstreamIdentity identity) => Change(state => state with { Identity = identity });

    /// <summary>Notes the state of the feed.</summary>
    internal void Note(UpstreamFeed feed) => Change(state => state with { Feed = feed });

    private void Change(Func<UpstreamState, UpstreamState> change)
    {
        UpstreamState before;
        do
        {
            before = State;
        }
        while (Interlocked.CompareExchange(ref _state, change(before), before) != before);
    }
}
