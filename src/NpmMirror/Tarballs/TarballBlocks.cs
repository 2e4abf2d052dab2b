using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Tarballs;

/// <summary>
/// Which tarballs are not served although they may be stored: those of a package refused for legal reasons, and those that a
/// security holding package stands in place of. Everything else that is stored is served, listed or not: old lockfiles install.
/// </summary>
public sealed class TarballBlocks
{
    private const int RememberedMin = 10_000;

    private readonly IMetadataStore _store;
    private readonly MirrorOptions _options;
    private readonly BoundedCache<PackageName, Entry> _entries = new(RememberedMin);
    private long _epoch;

    /// <summary>Remembers what it judged until the news say that a package changed.</summary>
    public TarballBlocks(IMetadataStore store, PackageNews news, MirrorOptions options)
    {
        (_store, _options) = (store, options);
        news.Changed += Forget;
        news.AllChanged += ForgetAll;
    }

    /// <summary>Why the file is not to be served, or null.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: nobody knows.</exception>
    public async ValueTask<TarballResult.Absent?> FindAsync(PackageName package, string file, CancellationToken cancellationToken)
    {
        if (!_entries.TryGet(package, out var entry))
        {
            var epoch = Interlocked.Read(ref _epoch);
            entry = Judge(await _store.FindAsync(package, cancellationToken));
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
    public bool IsKnownToBeFree(PackageName package, string file) => _entries.TryGet(package, out var entry) && !entry.Refuses(file);

    /// <summary>Forgets what was known of a package, because it was written.</summary>
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

    private Entry Judge(PackageRow? row) => row?.Facts.Removal switch
    {
        _ when row is { Damage: { IsOfRemoval: true } damage } => throw damage.ToException(),
        RemovalKind.Blocked when _options.Removed.Blocked != RemovedMode.Keep =>
            new Entry(new TarballResult.Absent(451, $"{row.Name} is blocked for legal reasons{Because(row)}."), null),
        RemovalKind.SecurityHolder when _options.Removed.SecurityHolder != RemovedMode.Keep =>
            new Entry(new TarballResult.Absent(451, $"{row.Name} was taken over by a security holding package{Because(row)}; its earlier versions are not served."), FilesOf(row)),
        _ => default,
    };

    private static string Because(PackageRow row) => row.Facts.RemovalReason is { } reason ? $" ({reason})" : "";

    private static HashSet<string> FilesOf(PackageRow row) =>
        [.. PackumentIndex.FromBytes(row.Index.Span, row.Name).Versions.Select(version => TarballUrls.FileName(row.Name, version.Version))];

    private readonly record struct Entry(TarballResult.Absent? Refusal, HashSet<string>? Spared)
    {
        internal bool Refuses(string file) => Refusal is not null && Spared?.Contains(file) != true;
    }
}
