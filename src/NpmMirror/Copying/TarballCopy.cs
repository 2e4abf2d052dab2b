using System.Runtime.CompilerServices;
using NpmMirror.Storage;

namespace NpmMirror.Copying;

/// <summary>Makes the target's rows of tarballs, and its counts of downloads, equal to the source's.</summary>
internal sealed class TarballCopy(IMetadataStore source, IMetadataStore target, CopyTally tally)
{
    private const int AtATime = 64;
    private const int BatchMax = 500;

    /// <summary>The rows.</summary>
    internal async Task CopyRowsAsync(CancellationToken cancellationToken)
    {
        tally.BeginPart("tarball rows");
        await Parallel.ForEachAsync(ListDifferentAsync(cancellationToken), Parallelly(cancellationToken), async (pair, token) => await CopyAsync(pair.Row, pair.Copied, token));
    }

    /// <summary>The counts of downloads. They only grow: those that the target counted itself stay.</summary>
    internal async Task CopyAccessesAsync(CancellationToken cancellationToken)
    {
        tally.BeginPart("counts of downloads");
        var names = source.Packages.ListMarksAsync("", isRemoved: false, cancellationToken).Concat(source.Packages.ListMarksAsync("", isRemoved: true, cancellationToken));
        var (oldest, hasOthers) = (DateOnly.MaxValue.DayNumber, 0);
        await Parallel.ForEachAsync(names, Parallelly(cancellationToken), async (mark, token) =>
        {
            var (first, others) = await CopyAccessesAsync(mark.Name, token);
            Interlocked.Add(ref hasOthers, others);
            for (var known = Volatile.Read(ref oldest); first.DayNumber < known && Interlocked.CompareExchange(ref oldest, first.DayNumber, known) != known; known = Volatile.Read(ref oldest))
            {
                // Another was faster.
            }
        });

        // The source dropped its old days since they were copied.
        if (hasOthers > 0 && await target.Tarballs.ForgetAccessAsync(DateOnly.FromDayNumber(oldest), cancellationToken) is > 0 and var dropped)
        {
            tally.Copy(dropped);
        }
    }

    private static ParallelOptions Parallelly(CancellationToken cancellationToken) => new() { MaxDegreeOfParallelism = AtATime, CancellationToken = cancellationToken };

    private async IAsyncEnumerable<(TarballRow? Row, TarballRow? Copied)> ListDifferentAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var pairs = MergedLists.WalkAsync(
            source.Tarballs.ListTarballsAsync(null, cancellationToken),
            target.Tarballs.ListTarballsAsync(null, cancellationToken),
            (left, right) => left.Package.CompareTo(right.Package) is not 0 and var order ? order : Utf8Order.Instance.Compare(left.File, right.File),
            cancellationToken);
        await foreach (var (row, copied) in pairs)
        {
            if (row is { Damage: { } damage })
            {
                throw damage.ToException();
            }

            if (row is not null)
            {
                tally.Look(seen => row.State == TarballState.Held ? seen with { Tarballs = seen.Tarballs + 1, TarballBytes = seen.TarballBytes + row.SizeBytes } : seen);
            }

            if (row != copied)
            {
                yield return (row, copied);
            }
        }
    }

    private async ValueTask CopyAsync(TarballRow? row, TarballRow? copied, CancellationToken cancellationToken)
    {
        // A held row is never replaced by one with other bytes, nor its moments by earlier ones: it is taken away first.
        if (copied is { State: TarballState.Held } && !await target.Tarballs.ForgetTarballAsync(copied, cancellationToken))
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"Another process writes to {target.Location}; stop it.");
        }

        if (row is not null)
        {
            await target.Tarballs.PutTarballAsync(row, cancellationToken);
        }
        else if (copied!.State != TarballState.Held)
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"{target.Location} has a row of the tarball {copied.File} of {copied.Package}, and {source.Location} does not: it is no copy of this mirror; name an empty place.");
        }

        tally.Copy();
    }

    private async ValueTask<(DateOnly Oldest, int Others)> CopyAccessesAsync(PackageName package, CancellationToken cancellationToken)
    {
        var known = new Dictionary<(string File, string Client, DateOnly Day), long>();
        await foreach (var access in target.Tarballs.ListAccessAsync(package, null, cancellationToken))
        {
            known[(access.File, access.Client, access.Day)] = access.Count;
        }

        var (oldest, more) = (DateOnly.MaxValue, new List<TarballAccess>());
        await foreach (var access in source.Tarballs.ListAccessAsync(package, null, cancellationToken))
        {
            tally.Look();
            known.Remove((access.File, access.Client, access.Day), out var counted);
            oldest = access.Day < oldest ? access.Day : oldest;
            if (access.Count > counted)
            {
                more.Add(access with { Count = access.Count - counted });
            }
        }

        foreach (var batch in more.Chunk(BatchMax))
        {
            await target.Tarballs.RecordAccessAsync(batch, cancellationToken);
            tally.Copy(batch.Length);
        }

        return (oldest, known.Count);
    }
}
