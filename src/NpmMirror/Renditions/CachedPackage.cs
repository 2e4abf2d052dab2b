using NpmMirror.Storage;

namespace NpmMirror.Renditions;

/// <summary>
/// A package as readers found it, from one commit to the next: its row and its renditions. A commit drops it whole; work begun
/// before then belongs to the dropped one and cannot reach a later request.
/// </summary>
internal sealed class CachedPackage
{
    /// <summary>A package of 30,000 versions must not fill the memory with the prelude of one manifest each.</summary>
    private const int RenditionsMax = 128;

    private readonly Lock _lock = new();
    private Rendition[] _renditions = [];
    private volatile bool _isDropped;
    private long _foundAt;
    private long _heldBytes;

    internal CachedPackage(PackageName name, PackageRow row, RenditionHits hits, long now)
    {
        Name = name;
        Row = row;
        Hits = hits;
        _foundAt = now;
    }

    /// <summary>The package.</summary>
    public PackageName Name { get; }

    /// <summary>Its row.</summary>
    public PackageRow Row { get; }

    /// <summary>True once a newer row may exist.</summary>
    public bool IsDropped => _isDropped;

    /// <summary>When (by the cache's clock) the store last gave this row.</summary>
    internal long FoundAt
    {
        get => Volatile.Read(ref _foundAt);
        set => Volatile.Write(ref _foundAt, value);
    }

    /// <summary>How often a rendition of the cache was there when it was asked for.</summary>
    internal RenditionHits Hits { get; }

    /// <summary>Its renditions now.</summary>
    internal Rendition[] Renditions => Volatile.Read(ref _renditions);

    /// <summary>The rendition, made known when it is new and <paramref name="isKept"/>.</summary>
    internal Rendition Rendition(RenditionKey key, bool isKept, out bool isAdded)
    {
        isAdded = false;
        if (Find(key) is { } known)
        {
            return known;
        }

        if (!isKept || Renditions.Length >= RenditionsMax)
        {
            return new Rendition(this, key, isKept: false);
        }

        lock (_lock)
        {
            if (Find(key) is { } won)
            {
                return won;
            }

            var rendition = new Rendition(this, key, isKept: true);
            Volatile.Write(ref _renditions, [.. _renditions, rendition]);
            isAdded = true;
            return rendition;
        }
    }

    internal void MarkDropped() => _isDropped = true;

    /// <summary>Bytes that the cache accounts for this package itself, its renditions' bodies apart.</summary>
    internal void Hold(long bytes) => Interlocked.Add(ref _heldBytes, bytes);

    /// <summary>Those bytes, which are held no longer.</summary>
    internal long LetGo() => Interlocked.Exchange(ref _heldBytes, 0);

    private Rendition? Find(RenditionKey key)
    {
        foreach (var rendition in Renditions)
        {
            if (rendition.Key == key)
            {
                return rendition;
            }
        }

        return null;
    }
}
