using NpmMirror.Feeds;
using NpmMirror.Log;
using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Removals;

/// <summary>
/// Whether a package is gone for good: one rule, for mirrors and for monitors without a store. One 404 proves nothing: caches lag, upstreams have bad nights.
/// Without a feed row that flags the deletion it takes two answers at least ten minutes apart, while another package is alive and the upstream does not list this one any more.
/// </summary>
/// <param name="upstream">The upstream that is asked for other packages.</param>
/// <param name="knownUpstream">Where the list is.</param>
/// <param name="others">A few packages that the upstream should have, beside the missing one.</param>
/// <param name="hadList">Whether the upstream has had a list before.</param>
internal sealed class RemovalCheck(RegistryClient upstream, KnownUpstream knownUpstream, Func<PackageName, IAsyncEnumerable<PackageName>> others, Func<CancellationToken, ValueTask<bool>> hadList)
{
    /// <summary>A day has ten times as many tries: a wall clock that leaps over one has not.</summary>
    internal const int DoubtTriesMin = 12;

    private static readonly TimeSpan BetweenAnswers = TimeSpan.FromMinutes(10);

    /// <summary>Long enough that even an upstream with a single package is believed, and one whose list has names that never resolve.</summary>
    private static readonly TimeSpan BelievedAlone = TimeSpan.FromHours(24);

    private const int NeighboursMax = 3;

    private PackageName? _lastAlive;

    /// <summary>The rule for a store's packages.</summary>
    public static RemovalCheck Over(IMetadataStore store, RegistryClient upstream, KnownUpstream knownUpstream) =>
        new(upstream, knownUpstream, missing => NeighboursOf(store.Packages, missing), async token => await Reconciliation.ReadAsync(store.Notes, token) is not null);

    /// <summary>Notes that the upstream just answered for this package.</summary>
    public void NoteAlive(PackageName name) => _lastAlive = name;

    /// <summary>Null if the removal is confirmed, else why it is not yet.</summary>
    /// <param name="name">The package.</param>
    /// <param name="status">The upstream's answer: 404, 410 or 451.</param>
    /// <param name="missingFor">For how long it has answered so.</param>
    /// <param name="tries">The number of tries.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="MirrorException">The list could not be read, so the answer is not known.</exception>
    public async Task<string?> FindDoubtAsync(PackageName name, int status, TimeSpan missingFor, int tries, CancellationToken cancellationToken)
    {
        if (missingFor < BetweenAnswers)
        {
            return $"the upstream answered {status} for a package that was there; asked again before it is believed";
        }

        if (missingFor >= BelievedAlone && tries >= DoubtTriesMin)
        {
            return null;
        }

        if (!await IsAnotherAliveAsync(name, cancellationToken))
        {
            return $"the upstream answers {status}, but for other packages too";
        }

        // A blocked package may stay on the list; a removed one does not.
        if (status == 451)
        {
            return null;
        }

        var known = knownUpstream.State.Feed;
        if (known is UpstreamFeed.Seeking)
        {
            return $"the upstream answers {status}, and its list has not been found yet";
        }

        if (known is not UpstreamFeed.Found { Feed: var feed })
        {
            return null;
        }

        return await feed.IsListedAsync(name.Value, cancellationToken) switch
        {
            true => $"the upstream answers {status}, and lists the package still",
            null when await hadList(cancellationToken) => $"the upstream answers {status}, and has no list of packages any more",
            _ => null,
        };
    }

    /// <summary>The kind of removal in an answer. The status alone tells of a blocked package; from another mirror only the other kinds that end in a 404 count.</summary>
    public static RemovalKind KindOf(PackumentAnswer.Absent answer) =>
        answer.Status == 451 ? RemovalKind.Blocked
        : answer.Notice is { Kind: nameof(RemovalKind.Unpublished) } ? RemovalKind.Unpublished
        : RemovalKind.Gone;

    private async Task<bool> IsAnotherAliveAsync(PackageName missing, CancellationToken cancellationToken)
    {
        if (_lastAlive is { } alive && alive != missing && await IsAliveAsync(alive, cancellationToken))
        {
            return true;
        }

        await foreach (var other in others(missing).WithCancellation(cancellationToken))
        {
            if (other != missing && other != _lastAlive && await IsAliveAsync(other, cancellationToken))
            {
                NoteAlive(other);
                return true;
            }
        }

        return false;
    }

    // Neighbours first: if a whole stretch of names was removed, the last of them has a living neighbour, and confirms the others.
    private static IAsyncEnumerable<PackageName> NeighboursOf(IPackageTable packages, PackageName missing) =>
        packages.ListAsync(missing, isRemoved: false, CancellationToken.None).Take(NeighboursMax)
            .Concat(packages.ListAsync(null, isRemoved: false, CancellationToken.None).Take(NeighboursMax))
            .Select(row => row.Name);

    private async Task<bool> IsAliveAsync(PackageName name, CancellationToken cancellationToken)
    {
        try
        {
            var answer = await upstream.GetPackumentAsync(name, default, isCacheBusted: true, cancellationToken);
            (answer as PackumentAnswer.Fetched)?.Document.Dispose();
            return answer is not PackumentAnswer.Absent;
        }
        catch (MirrorException)
        {
            return false;
        }
    }
}
