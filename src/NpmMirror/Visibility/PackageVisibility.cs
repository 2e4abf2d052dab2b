using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Visibility;

/// <summary>Which of a store's packages readers may see: <see cref="VisibilityRules"/> by name, remembered, and for lists.</summary>
internal sealed class PackageVisibility
{
    private const int RememberedMin = 10_000;

    private readonly IPackageTable _packages;
    private readonly BoundedCache<PackageName, Entry> _entries = new("visibility", RememberedMin);
    private long _epoch;

    /// <summary>Remembers its decisions until the news say that a package changed.</summary>
    public PackageVisibility(IPackageTable packages, PackageNews news, MirrorOptions options, Meter? meter = null)
    {
        (_packages, Rules) = (packages, new VisibilityRules(options.Removed));
        _entries.MeasureIn(meter);
        news.Changed += (package, _) => Forget(package);
        news.AllChanged += ForgetAll;
    }

    /// <summary>The rules, for a row at hand.</summary>
    public VisibilityRules Rules { get; }

    /// <summary>Why the package is not shown, or null; null too for one that was never held.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: the answer is not known.</exception>
    public async ValueTask<Hidden?> FindAsync(PackageName package, CancellationToken cancellationToken) => (await EntryAsync(package, cancellationToken)).Package;

    /// <summary>Why the tarball is not shown, or null. Every other tarball that is stored is served, listed or not: old lockfiles install.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: the answer is not known.</exception>
    public async ValueTask<Hidden?> FindTarballAsync(PackageName package, string file, CancellationToken cancellationToken) =>
        await EntryAsync(package, cancellationToken) is var entry && entry.Hides(file) ? entry.Past : null;

    /// <summary>Why the log's rows of the package are not quoted, or null: the block of a package for legal reasons is told, without its content.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: the answer is not known.</exception>
    public async ValueTask<Hidden?> FindPastAsync(PackageName package, CancellationToken cancellationToken) =>
        await EntryAsync(package, cancellationToken) is { Package: not null } entry ? entry.Past : null;

    /// <summary>True when the tarball may be shown, as far as that is known without asking the store.</summary>
    public bool IsTarballKnownToBeShown(PackageName package, string file) => _entries.TryGet(package, out var entry) && !entry.Hides(file);

    /// <summary>The rows of packages that are shown, or with <paramref name="isHidden"/> of those that are not, by ascending name.</summary>
    public IAsyncEnumerable<PackageRow> ListAsync(PackageName? after, bool isHidden, CancellationToken cancellationToken)
    {
        var removed = _packages.ListAsync(after, isRemoved: true, cancellationToken);
        return isHidden ? removed.Where(Rules.Hides)
            : Rules.KeepsPackages ? MergeAsync(_packages.ListAsync(after, isRemoved: false, cancellationToken), removed.Where(row => !Rules.Hides(row)).Select(Rules.AsShown), row => row.Name, cancellationToken)
            : _packages.ListAsync(after, isRemoved: false, cancellationToken);
    }

    /// <summary>As <see cref="ListAsync"/>, but only the values of each row that a list of everything has. Begins with <paramref name="from"/>, which may be any text.</summary>
    public IAsyncEnumerable<PackageMark> ListMarksAsync(string from, bool isHidden, CancellationToken cancellationToken)
    {
        if (!Rules.KeepsPackages)
        {
            return _packages.ListMarksAsync(from, isHidden, cancellationToken);
        }

        // Marks do not tell the kind of a removal: if some kinds are kept, the graveyard's rows are read.
        var removed = _packages.ListAsync(null, isRemoved: true, cancellationToken)
            .Where(row => Utf8Order.Instance.Compare(row.Name.Value, from) >= 0 && Rules.Hides(row) == isHidden)
            .Select(row => new PackageMark(row.Name, Rules.AsShown(row).Facts.Rev, row.Facts.Upstream));
        return isHidden ? removed : MergeAsync(_packages.ListMarksAsync(from, isRemoved: false, cancellationToken), removed, mark => mark.Name, cancellationToken);
    }

    /// <summary>How many packages are shown, or hidden. Where some kinds are kept the graveyard is walked for it.</summary>
    /// <param name="counts">The store's own counts.</param>
    /// <param name="isHidden">Which of both.</param>
    /// <param name="cancellationToken">Cancels.</param>
    public async ValueTask<long> CountAsync(StoreCounts counts, bool isHidden, CancellationToken cancellationToken)
    {
        var kept = Rules.KeepsPackages ? await _packages.ListAsync(null, isRemoved: true, cancellationToken).CountAsync(row => !Rules.Hides(row), cancellationToken) : 0;
        return isHidden ? counts.Removed - kept : counts.Packages + kept;
    }

    private async ValueTask<Entry> EntryAsync(PackageName package, CancellationToken cancellationToken)
    {
        if (!_entries.TryGet(package, out var entry))
        {
            var epoch = Interlocked.Read(ref _epoch);
            entry = Decide(await _packages.FindAsync(package, cancellationToken));
            _entries.Set(package, entry);
            if (Interlocked.Read(ref _epoch) != epoch)
            {
                // A commit came between reading and remembering.
                _entries.Remove(package);
            }
        }

        return entry;
    }

    private Entry Decide(PackageRow? row)
    {
        if (row is null)
        {
            return default;
        }

        if (row is { Damage: { IsOfRemoval: true } damage })
        {
            throw damage.ToException();
        }

        var past = Rules.OfPast(row);
        return new Entry(Rules.Of(row), past, past is null ? null : VisibilityRules.FilesShown(row));
    }

    /// <summary>Forgets the decision on a package, because it was written.</summary>
    private void Forget(PackageName package)
    {
        Interlocked.Increment(ref _epoch);
        _entries.Remove(package);
    }

    private void ForgetAll()
    {
        Interlocked.Increment(ref _epoch);
        _entries.Clear();
    }

    /// <summary>Two lists by ascending name as one. A package that changes sides meanwhile comes once.</summary>
    private static async IAsyncEnumerable<T> MergeAsync<T>(IAsyncEnumerable<T> some, IAsyncEnumerable<T> others, Func<T, PackageName> nameOf, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var left = some.GetAsyncEnumerator(cancellationToken);
        await using var right = others.GetAsyncEnumerator(cancellationToken);
        var (hasLeft, hasRight) = (await left.MoveNextAsync(), await right.MoveNextAsync());
        PackageName? last = null;
        while (hasLeft || hasRight)
        {
            var isLeft = hasLeft && (!hasRight || nameOf(left.Current) <= nameOf(right.Current));
            var next = isLeft ? left.Current : right.Current;
            if (nameOf(next) != last)
            {
                yield return next;
                last = nameOf(next);
            }

            if (isLeft)
            {
                hasLeft = await left.MoveNextAsync();
            }
            else
            {
                hasRight = await right.MoveNextAsync();
            }
        }
    }

    private readonly record struct Entry(Hidden? Package, Hidden? Past, HashSet<string>? FilesShown)
    {
        internal bool Hides(string file) => Past is not null && FilesShown?.Contains(file) != true;
    }
}
