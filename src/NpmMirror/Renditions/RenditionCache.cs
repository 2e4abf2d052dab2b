using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.Renditions;

/// <summary>
/// Renditions in memory, bounded in bytes, each made once however many wait for it. A request asks for a ticket, finds the row, and
/// keeps the package with that ticket: a commit in between has dropped the name and made the ticket worthless.
/// </summary>
internal sealed class RenditionCache : IDisposable
{
    /// <summary>The cost of an entry besides its bytes: objects, keys and header texts, measured generously.</summary>
    private const int OverheadBytes = 512;

    private const int Stripes = 1024;

    /// <summary>Uncompressed renditions above this are not held but spilled.</summary>
    private const int SpillAboveBytes = 8 * 1024 * 1024;

    private const int SpillsMax = 4;

    private const int MakingMax = 10_000;

    /// <summary>
    /// Commits and the log drop changed packages. A document that differs from the last in URLs or key order only has no place in the log:
    /// the store is asked for those of other processes this often.
    /// </summary>
    private static readonly TimeSpan FindAgainAfter = TimeSpan.FromMinutes(1);

    private readonly Renditions _renditions;
    private readonly SingleFlight<Rendition, byte[]?> _making;
    private readonly RenditionImprover _improver;
    private readonly TimeProvider _time;
    private readonly long _limitBytes;
    private readonly ConcurrentDictionary<PackageName, CachedPackage> _packages = new();
    private readonly long[] _epochs = new long[Stripes];
    private readonly RecentBases _bases;
    private readonly RenditionHits _hits = new();
    private readonly string _temporaryFolder;
    private readonly SemaphoreSlim _spills = new(SpillsMax);

    // The entries that may be forgotten, in the order they came; see Trim.
    private readonly Lock _ringLock = new();
    private readonly Queue<object> _ring = new();
    private int _deadInRing;
    private long _usedBytes;

    /// <summary>An empty cache over the store's documents.</summary>
    public RenditionCache(IPackageTable packages, PackageNews news, ByteBudget budget, MirrorOptions options, TimeProvider time, Meter? meter = null)
    {
        _renditions = new Renditions(packages, budget, new VisibilityRules(options.Removed), new StoreMetrics(meter ?? Telemetry.Unread, time));
        _making = new SingleFlight<Rendition, byte[]?>("renditions", MakingMax, time, meter);
        _improver = new RenditionImprover(_renditions, more => Interlocked.Add(ref _usedBytes, more));
        _time = time;
        _limitBytes = options.CacheBytes;
        _bases = new RecentBases(time);
        _temporaryFolder = Path.Combine(options.Data, "tmp");
        news.Changed += DropBefore;
        news.AllChanged += DropAll;
    }

    /// <summary>Bytes held now, overhead included.</summary>
    public long UsedBytes => Interlocked.Read(ref _usedBytes);

    /// <summary>How many renditions were in memory since the start when they were asked for.</summary>
    public long HitCount => _hits.Count;

    /// <summary>How many renditions were made since the start: hits do not move it.</summary>
    public long MadeCount => _renditions.MadeCount;

    /// <summary>How many renditions were compressed once more since the start, and harder.</summary>
    public long ImprovedCount => _improver.ImprovedCount;

    /// <summary>How many renditions are compressed once more now, or wait for their turn.</summary>
    public int ImprovingCount => _improver.UnderwayCount;

    /// <inheritdoc/>
    public void Dispose()
    {
        _spills.Dispose();
        _improver.Dispose();
        _renditions.Dispose();
    }

    /// <summary>A ticket to hold while a row is looked for; see <see cref="Keep"/>.</summary>
    public long Ticket(PackageName name) => Interlocked.Read(ref EpochOf(name));

    /// <summary>The package as last found, however long ago that was, unless dropped since; see <see cref="IsCurrent"/>.</summary>
    public CachedPackage? Find(PackageName name) => _packages.TryGetValue(name, out var package) && !package.IsDropped ? package : null;

    /// <summary>True while the package may be served without asking the store again.</summary>
    public bool IsCurrent(CachedPackage package) => !package.IsDropped && _time.GetElapsedTime(package.FoundAt) <= FindAgainAfter;

    /// <summary>Remembers a row that was found; with a ticket from before a drop it serves this one request only.</summary>
    public CachedPackage Keep(PackageRow row, long ticket)
    {
        var now = _time.GetTimestamp();
        while (true)
        {
            if (_packages.TryGetValue(row.Name, out var known) && !known.IsDropped && known.Row.Generation >= row.Generation)
            {
                known.FoundAt = now;
                return known;
            }

            var package = new CachedPackage(row.Name, row, _hits, now);
            if (known is null ? !_packages.TryAdd(row.Name, package) : !_packages.TryUpdate(row.Name, package, known))
            {
                continue;
            }

            if (known is not null)
            {
                Release(known);
            }

            Hold(package, OverheadBytes + row.Index.Length);
            Enlist(package);
            // Added first, then compared: Drop raises the epoch first, then removes. One of the two sees the other.
            if (Ticket(row.Name) != ticket)
            {
                Remove(package);
            }

            return package;
        }
    }

    /// <summary>Forgets a package, whatever is known of it.</summary>
    public void Drop(PackageName name) => DropBefore(name, long.MaxValue);

    /// <summary>Forgets a package that was found before it had this generation: told by each commit before it returns, and by each row of the log.</summary>
    private void DropBefore(PackageName name, long generation)
    {
        Interlocked.Increment(ref EpochOf(name));
        if (_packages.TryGetValue(name, out var package) && package.Row.Generation < generation)
        {
            Remove(package);
        }
    }

    /// <summary>Forgets everything, for when missed changes are not known.</summary>
    public void DropAll()
    {
        foreach (var name in _packages.Keys)
        {
            Drop(name);
        }
    }

    /// <summary>One representation of a package that was found; its bytes are made only when asked for.</summary>
    public Rendition Rendition(CachedPackage package, RenditionKey key)
    {
        var isKept = !package.IsDropped && _bases.TryKeep(key.BaseUrl);
        var rendition = package.Rendition(key, isKept, out var isAdded);
        if (isAdded)
        {
            Hold(package, OverheadBytes);
        }

        return rendition;
    }

    /// <summary>
    /// The final bytes, from memory or made now, once for all who wait. Null if the package has changed since it was found: find it
    /// again.
    /// </summary>
    /// <exception cref="MirrorException">The store is in trouble or damaged.</exception>
    public ValueTask<byte[]?> BodyAsync(Rendition rendition, CancellationToken cancellationToken)
    {
        if (rendition.Body is { } body)
        {
            rendition.Touch();
            return new ValueTask<byte[]?>(body);
        }

        return new ValueTask<byte[]?>(_making.Join(rendition, () => MakeAsync(rendition)).Result.WaitAsync(cancellationToken));
    }

    /// <summary>True for a representation that is too long to be held: <see cref="SpillAsync"/> makes it.</summary>
    public static bool IsSpilled(PackageRow row, RenditionKey key) => key.Coding == ContentCoding.Identity && key.Version is null && row.RawSizeBytes > SpillAboveBytes;

    /// <summary>A representation in a temporary file of the caller's own; null as in <see cref="BodyAsync"/>.</summary>
    public async Task<SpilledRendition?> SpillAsync(PackageRow row, RenditionKey key, CancellationToken cancellationToken)
    {
        // Few clients refuse every coding; those that do wait for each other rather than fill the disk.
        await _spills.WaitAsync(cancellationToken);
        try
        {
            return await Task.Run(() => _renditions.SpillAsync(row, key, _temporaryFolder, cancellationToken), cancellationToken);
        }
        finally
        {
            _spills.Release();
        }
    }

    /// <summary>The final bytes of a representation that is not worth keeping: a row of a feed with its document. Null as in <see cref="BodyAsync"/>.</summary>
    public Task<byte[]?> MakeOnceAsync(PackageRow row, RenditionKey key, CancellationToken cancellationToken) => _renditions.MakeAsync(row, key, RenditionEffort.Quick, cancellationToken);

    private async Task<byte[]?> MakeAsync(Rendition rendition)
    {
        if (rendition.Body is { } made)
        {
            // Made between the caller's look and now.
            return made;
        }

        var body = await _renditions.MakeAsync(rendition.Package.Row, rendition.Key, RenditionEffort.Quick, CancellationToken.None);
        if (body is null)
        {
            Drop(rendition.Package.Name);
        }
        else if (rendition.IsKept && body.Length <= _limitBytes / 4)
        {
            Store(rendition, body);
        }

        return body;
    }

    private void Store(Rendition rendition, byte[] body)
    {
        rendition.WasUsed = true;
        Interlocked.Add(ref _usedBytes, rendition.Swap(body));
        Enlist(rendition);
        if (rendition.Package.IsDropped)
        {
            Interlocked.Add(ref _usedBytes, rendition.Swap(null));
            return;
        }

        _improver.Watch(rendition);
    }

    private void Remove(CachedPackage package)
    {
        if (_packages.TryRemove(KeyValuePair.Create(package.Name, package)))
        {
            Release(package);
        }
    }

    private void Release(CachedPackage package)
    {
        // Marked first: a rendition that is made at this moment looks at the mark after it has stored its bytes.
        package.MarkDropped();
        Interlocked.Add(ref _usedBytes, -package.LetGo());
        foreach (var rendition in package.Renditions)
        {
            Interlocked.Add(ref _usedBytes, rendition.Swap(null));
        }

        Interlocked.Add(ref _deadInRing, 1 + package.Renditions.Length);
    }

    private void Hold(CachedPackage package, long bytes)
    {
        package.Hold(bytes);
        Interlocked.Add(ref _usedBytes, bytes);
        if (package.IsDropped)
        {
            // Released in between: the last of the two lets go.
            Interlocked.Add(ref _usedBytes, -package.LetGo());
        }
    }

    private void Enlist(object item)
    {
        lock (_ringLock)
        {
            _ring.Enqueue(item);
            if (_deadInRing > 1000 && _deadInRing > _ring.Count / 2)
            {
                Sweep();
            }

            Trim();
        }
    }

    /// <summary>A cache that never fills would else keep every dropped package's row in its ring.</summary>
    private void Sweep()
    {
        _deadInRing = 0;
        for (var left = _ring.Count; left > 0; left--)
        {
            var item = _ring.Dequeue();
            if (item is Rendition { Body: not null } or CachedPackage { IsDropped: false })
            {
                _ring.Enqueue(item);
            }
        }
    }

    /// <summary>Second chance: an entry that was used since the hand last passed goes round once more, the rest is forgotten.</summary>
    private void Trim()
    {
        for (var steps = _ring.Count * 2; steps > 0 && UsedBytes > _limitBytes && _ring.TryDequeue(out var item); steps--)
        {
            switch (item)
            {
                case Rendition { Body: not null } rendition when rendition.WasUsed:
                    rendition.WasUsed = false;
                    _ring.Enqueue(rendition);
                    break;
                case Rendition rendition:
                    Interlocked.Add(ref _usedBytes, rendition.Swap(null));
                    break;
                case CachedPackage { IsDropped: false } package when HoldsBytes(package):
                    _ring.Enqueue(package);
                    break;
                case CachedPackage package:
                    Remove(package);
                    break;
            }
        }
    }

    private static bool HoldsBytes(CachedPackage package)
    {
        foreach (var rendition in package.Renditions)
        {
            if (rendition.Body is not null)
            {
                return true;
            }
        }

        return false;
    }

    private ref long EpochOf(PackageName name) => ref _epochs[(uint)name.GetHashCode() % Stripes];
}
