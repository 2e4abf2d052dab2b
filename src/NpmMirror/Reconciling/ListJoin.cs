using System.Runtime.CompilerServices;
using NpmMirror.Log;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Reconciling;

/// <summary>A name on the upstream's list, in the store, or both.</summary>
/// <param name="Name">The name.</param>
/// <param name="IsListed">Whether the upstream lists it.</param>
/// <param name="Rev">The listed rev, if the list has revs.</param>
/// <param name="ModifiedAt">When the package changed last, if the list has times.</param>
/// <param name="Mark">The stored mark; null for a package never held.</param>
/// <param name="IsRemoved">Whether the package is in the graveyard.</param>
internal readonly record struct ListPair(PackageName Name, bool IsListed, string? Rev, DateTimeOffset? ModifiedAt, PackageMark? Mark, bool IsRemoved)
{
    /// <summary>Whether the store holds it, not counting the graveyard.</summary>
    internal bool IsHeld => Mark is not null && !IsRemoved;

    /// <summary>
    /// Whether the held package is the one that an upstream of this identity lists: in the listed revision, or if it lists none, changed last at the same time.
    /// A listed package in the graveyard may be back in the same revision.
    /// </summary>
    internal async ValueTask<bool> IsCurrentAsync(IPackageTable packages, UpstreamIdentity identity, CancellationToken cancellationToken) =>
        IsHeld && (IsSameRevision(identity) || (Rev is null && await IsSameTimeAsync(packages, identity, cancellationToken)));

    /// <summary>Whether the upstream lists an unpublished package that the store has in the graveyard: npm's list has those names for ever.</summary>
    internal async ValueTask<bool> IsUnpublishedAsync(IPackageTable packages, UpstreamIdentity identity, CancellationToken cancellationToken) =>
        IsRemoved && IsSameRevision(identity) && await packages.FindAsync(Name, cancellationToken) is { Facts.Removal: RemovalKind.Unpublished };

    // The store's list of marks has no times: only old registries list them, and those are small.
    private async ValueTask<bool> IsSameTimeAsync(IPackageTable packages, UpstreamIdentity identity, CancellationToken cancellationToken) =>
        ModifiedAt is { } listed
        && Mark is { } mark
        && identity.CouldBeSame(mark.Upstream)
        && (await packages.FindAsync(Name, cancellationToken))?.Facts.ModifiedAt?.ToUnixTimeMilliseconds() == listed.ToUnixTimeMilliseconds();

    private bool IsSameRevision(UpstreamIdentity identity) => Mark is { } mark && identity.CouldBeSame(mark.Upstream) && Rev is { } rev && mark.Rev == rev;
}

/// <summary>Joins the upstream's list and the store's by name, both in the order of UTF-8 bytes: each name once, nothing held in memory.</summary>
internal static class ListJoin
{
    /// <summary>All names of either side, in order.</summary>
    internal static async IAsyncEnumerable<ListPair> JoinAsync(IEnumerable<ListMark> listed, IPackageTable packages, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var left = listed.GetEnumerator();
        var hasLeft = left.MoveNext();
        await foreach (var (mark, isRemoved) in MarksAsync(packages, cancellationToken))
        {
            while (hasLeft && left.Current.Name < mark.Name)
            {
                yield return new ListPair(left.Current.Name, true, left.Current.Rev, left.Current.ModifiedAt, null, false);
                hasLeft = left.MoveNext();
            }

            var isListed = hasLeft && left.Current.Name == mark.Name;
            yield return new ListPair(mark.Name, isListed, isListed ? left.Current.Rev : null, isListed ? left.Current.ModifiedAt : null, mark, isRemoved);
            hasLeft = isListed ? left.MoveNext() : hasLeft;
        }

        while (hasLeft)
        {
            yield return new ListPair(left.Current.Name, true, left.Current.Rev, left.Current.ModifiedAt, null, false);
            hasLeft = left.MoveNext();
        }
    }

    /// <summary>The held and the graveyard as one list. A package that changes sides meanwhile may come twice, or as one that is not there: it is only looked at once more.</summary>
    private static async IAsyncEnumerable<(PackageMark Mark, bool IsRemoved)> MarksAsync(IPackageTable packages, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var held = packages.ListMarksAsync("", isRemoved: false, cancellationToken).GetAsyncEnumerator(cancellationToken);
        await using var removed = packages.ListMarksAsync("", isRemoved: true, cancellationToken).GetAsyncEnumerator(cancellationToken);
        var (hasHeld, hasRemoved) = (await held.MoveNextAsync(), await removed.MoveNextAsync());
        while (hasHeld || hasRemoved)
        {
            if (hasHeld && (!hasRemoved || held.Current.Name <= removed.Current.Name))
            {
                yield return (held.Current, false);
                hasHeld = await held.MoveNextAsync();
            }
            else
            {
                yield return (removed.Current, true);
                hasRemoved = await removed.MoveNextAsync();
            }
        }
    }
}
