using NpmMirror.History;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

/// <summary>
/// Which tarballs are not served although they may be stored: those of a package refused for legal reasons, and those that a
/// security holding package stands in place of. Everything else that is stored is served, listed or not: old lockfiles install.
/// </summary>
public sealed class TarballBlocks(IMetadataStore store, MirrorOptions options, TimeProvider time)
{
    private const int RememberedMin = 10_000;

    /// <summary>Commits of this process are told at once; those of others are seen after this long.</summary>
    private static readonly TimeSpan BelievedFor = TimeSpan.FromSeconds(1);

    private readonly BoundedCache<PackageName, Entry> _entries = new(RememberedMin);
    private long _epoch;

    /// <summary>Why the file is not to be served, or null.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: nobody knows.</exception>
    public async ValueTask<TarballResult.Absent?> FindAsync(PackageName package, string file, CancellationToken cancellationToken)
    {
        if (!TryRecall(package, out var entry))
        {
            var epoch = Interlocked.Read(ref _epoch);
            entry = Judge(await store.FindAsync(package, cancellationToken)) with { ReadAt = time.GetTimestamp() };
            _entries.Set(package, entry);
            if (Interlocked.Read(ref _epoch) != epoch)
            {
                // A commit came between reading and remembering.
                _entries.Remove(package);
            }
        }

        return entry.Refuses(file) ? entry.Refusal : null;
    }

    /// <summary>Why earlier versions of the package are not served, or null.</summary>
    public TarballResult.Absent? FindRefusal(PackageRow row) => Judge(row).Refusal;

    /// <summary>True when the file may be served, as far as that is known without asking the store.</summary>
    public bool IsKnownToBeFree(PackageName package, string file) => TryRecall(package, out var entry) && !entry.Refuses(file);

    /// <summary>Forgets what was known of a package, because it was written.</summary>
    public void Forget(PackageName package)
    {
        Interlocked.Increment(ref _epoch);
        _entries.Remove(package);
    }

    private bool TryRecall(PackageName package, out Entry entry) => _entries.TryGet(package, out entry) && time.GetElapsedTime(entry.ReadAt) <= BelievedFor;

    private Entry Judge(PackageRow? row) => row?.Facts.Removal switch
    {
        _ when row is { Damage: { IsOfRemoval: true } damage } => throw damage.ToException(),
        RemovalKind.Blocked when options.Removed.Blocked != RemovedMode.Keep =>
            new Entry(0, new TarballResult.Absent(451, $"{row.Name} is blocked for legal reasons{Because(row)}."), null),
        RemovalKind.SecurityHolder when options.Removed.SecurityHolder != RemovedMode.Keep =>
            new Entry(0, new TarballResult.Absent(451, $"{row.Name} was taken over by a security holding package{Because(row)}; its earlier versions are not served."), FilesOf(row)),
        _ => default,
    };

    private static string Because(PackageRow row) => row.Facts.RemovalReason is { } reason ? $" ({reason})" : "";

    private static HashSet<string> FilesOf(PackageRow row) =>
        [.. PackumentIndex.FromBytes(row.Index.Span).Versions.Select(version => TarballUrls.FileName(row.Name, version.Version))];

    private readonly record struct Entry(long ReadAt, TarballResult.Absent? Refusal, HashSet<string>? Spared)
    {
        internal bool Refuses(string file) => Refusal is not null && Spared?.Contains(file) != true;
    }
}
