using NpmMirror.Feeds;
using NpmMirror.Log;
using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Removals;

/// <summary>
/// Whether a package that is held is gone for good. One 404 proves nothing: caches lag, upstreams have bad nights. It takes a feed row that flags the
/// deletion and one 404, or two 404 at least ten minutes apart while another package is alive and the upstream does not list this one any more.
/// </summary>
internal sealed class RemovalCheck(IMetadataStore store, RegistryClient upstream, KnownUpstream knownUpstream, TimeProvider time)
{
    /// <summary>A day has ten times as many tries: a wall clock that leaps over one has not.</summary>
    internal const int DoubtTriesMin = 12;

    private static readonly TimeSpan BetweenAnswers = TimeSpan.FromMinutes(10);

    /// <summary>Long enough that even an upstream with a single package is believed, and one whose list has names that never resolve.</summary>
    private static readonly TimeSpan BelievedAlone = TimeSpan.FromHours(24);

    private PackageName? _lastAlive;

    /// <summary>Notes that the upstream just answered for this package.</summary>
    public void NoteAlive(PackageName name) => _lastAlive = name;

    /// <summary>Null when the removal is confirmed, else why it is not yet.</summary>
    public async Task<string?> FindDoubtAsync(PackageName name, PackumentAnswer.Absent answer, QueueItem? item, DateTimeOffset missingSince, CancellationToken cancellationToken)
    {
        if (item is { IsDeletedRow: true })
        {
            return null;
        }

        var missingFor = time.GetUtcNow() - missingSince;
        if (missingFor < BetweenAnswers)
        {
            return $"the upstream answered {answer.Status} for a package that is held; asked again before it is believed";
        }

        if (missingFor >= BelievedAlone && item?.Attempts >= DoubtTriesMin)
        {
            return null;
        }

        if (!await IsAnotherAliveAsync(name, cancellationToken))
        {
            return $"the upstream answers {answer.Status}, but for other packages too";
        }

        // What is blocked may stay on the list; what is gone does not.
        if (answer.Status == 451)
        {
            return null;
        }

        var known = knownUpstream.State.Feed;
        if (known is UpstreamFeed.Seeking)
        {
            return $"the upstream answers {answer.Status}, and its list has not been found yet";
        }

        if (known is not UpstreamFeed.Found { Feed: var feed })
        {
            return null;
        }

        return await feed.IsListedAsync(name.Value, cancellationToken) switch
        {
            true => $"the upstream answers {answer.Status}, and lists the package still",
            null when await Reconciliation.ReadAsync(store, cancellationToken) is not null => $"the upstream answers {answer.Status}, and has no list any more that could tell",
            _ => null,
        };
    }

    /// <summary>The kind of removal an answer speaks of. What is blocked is so by the status alone; of another mirror's word only the other kinds that end in a 404 count.</summary>
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

        // Neighbours first: where a whole stretch of names went, the last of them has one that lives, and tells the others.
        return await IsOneAliveAsync(missing, missing, cancellationToken) || await IsOneAliveAsync(null, missing, cancellationToken);
    }

    private async Task<bool> IsOneAliveAsync(PackageName? after, PackageName missing, CancellationToken cancellationToken)
    {
        var asked = 0;
        await foreach (var row in store.Packages.ListAsync(after, isRemoved: false, cancellationToken))
        {
            if (row.Name != missing && row.Name != _lastAlive && await IsAliveAsync(row.Name, cancellationToken))
            {
                NoteAlive(row.Name);
                return true;
            }

            if (++asked == 3)
            {
                break;
            }
        }

        return false;
    }

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
