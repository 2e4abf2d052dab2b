using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;

namespace NpmMirror;

/// <summary>
/// Remembers at least the <paramref name="countMin"/> entries used last and at most twice as many, in two generations: reading
/// moves an entry to the young one, and a full young one becomes the old one. Reading a young entry takes no lock.
/// </summary>
/// <param name="name">The cache's name in metrics.</param>
/// <param name="countMin">The number of entries that it remembers at least.</param>
/// <param name="keys">Compares keys; null: their own comparison.</param>
internal sealed class BoundedCache<TKey, TValue>(string name, int countMin, IEqualityComparer<TKey>? keys = null)
    where TKey : notnull
{
    // Held by all that writes, so that an entry that was removed is not carried over at the same moment.
    private readonly Lock _lock = new();
    private volatile ConcurrentDictionary<TKey, TValue> _young = new(keys);
    private ConcurrentDictionary<TKey, TValue> _old = new(keys);
    private int _youngCount;
    private int _oldCount;

    /// <summary>Entries held now.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _youngCount + _oldCount;
            }
        }
    }

    /// <summary>Tells a mirror's operators how many entries it holds: one instrument for all caches.</summary>
    internal BoundedCache<TKey, TValue> MeasureIn(Meter? meter)
    {
        meter?.CreateObservableGauge("npm_mirror.cache.entries", () => new Measurement<int>(Count, new KeyValuePair<string, object?>("cache", name)), "{entry}", "Entries that a cache with a limit in entries holds now, by cache");
        return this;
    }

    /// <summary>Looks an entry up.</summary>
    internal bool TryGet(TKey key, [MaybeNullWhen(false)] out TValue value) => _young.TryGetValue(key, out value) || TryCarry(key, out value);

    /// <summary>As the other one, by a key in another form, which the comparer knows.</summary>
    internal bool TryGet<TAlternate>(TAlternate key, [MaybeNullWhen(false)] out TValue value)
        where TAlternate : notnull, allows ref struct
    {
        if (_young.GetAlternateLookup<TAlternate>().TryGetValue(key, out value))
        {
            return true;
        }

        TKey? whole;
        lock (_lock)
        {
            if (!_old.GetAlternateLookup<TAlternate>().TryGetValue(key, out whole, out value))
            {
                return false;
            }
        }

        return TryCarry(whole, out value);
    }

    /// <summary>Adds or replaces an entry.</summary>
    internal void Set(TKey key, TValue value)
    {
        lock (_lock)
        {
            _oldCount -= _old.TryRemove(key, out _) ? 1 : 0;
            SetYoung(key, value);
        }
    }

    /// <summary>Forgets an entry.</summary>
    internal void Remove(TKey key)
    {
        lock (_lock)
        {
            _youngCount -= _young.TryRemove(key, out _) ? 1 : 0;
            _oldCount -= _old.TryRemove(key, out _) ? 1 : 0;
        }
    }

    /// <summary>Forgets everything.</summary>
    internal void Clear()
    {
        lock (_lock)
        {
            (_young, _youngCount, _old, _oldCount) = (new(keys), 0, new(keys), 0);
        }
    }

    /// <summary>Carries an entry over to the young ones.</summary>
    private bool TryCarry(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        lock (_lock)
        {
            if (_young.TryGetValue(key, out value))
            {
                return true;
            }

            if (!_old.TryRemove(key, out value))
            {
                return false;
            }

            _oldCount--;
            SetYoung(key, value);
            return true;
        }
    }

    private void SetYoung(TKey key, TValue value)
    {
        if (!_young.ContainsKey(key))
        {
            if (_youngCount >= countMin)
            {
                (_old, _oldCount, _young, _youngCount) = (_young, _youngCount, new(keys), 0);
            }

            _youngCount++;
        }

        _young[key] = value;
    }
}
