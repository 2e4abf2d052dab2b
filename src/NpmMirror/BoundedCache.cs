using System.Diagnostics.CodeAnalysis;

namespace NpmMirror;

/// <summary>
/// Remembers at least the <paramref name="countMin"/> entries used last and at most twice as many: two generations, where reading
/// moves an entry to the young one and a full young one becomes the old one. Every operation is one or two look-ups.
/// </summary>
internal sealed class BoundedCache<TKey, TValue>(int countMin)
    where TKey : notnull
{
    private readonly Lock _lock = new();
    private Dictionary<TKey, TValue> _young = [];
    private Dictionary<TKey, TValue> _old = [];

    /// <summary>Looks an entry up.</summary>
    internal bool TryGet(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        lock (_lock)
        {
            if (_young.TryGetValue(key, out value))
            {
                return true;
            }

            if (!_old.Remove(key, out value))
            {
                return false;
            }

            SetYoung(key, value);
            return true;
        }
    }

    /// <summary>Adds or replaces an entry.</summary>
    internal void Set(TKey key, TValue value)
    {
        lock (_lock)
        {
            _old.Remove(key);
            SetYoung(key, value);
        }
    }

    /// <summary>Forgets an entry.</summary>
    internal void Remove(TKey key)
    {
        lock (_lock)
        {
            _young.Remove(key);
            _old.Remove(key);
        }
    }

    /// <summary>Forgets everything.</summary>
    internal void Clear()
    {
        lock (_lock)
        {
            _young.Clear();
            _old.Clear();
        }
    }

    private void SetYoung(TKey key, TValue value)
    {
        if (_young.Count >= countMin && !_young.ContainsKey(key))
        {
            (_old, _young) = (_young, _old);
            _young.Clear();
        }

        _young[key] = value;
    }
}
