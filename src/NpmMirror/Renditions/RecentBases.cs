namespace NpmMirror.Renditions;

/// <summary>
/// The public addresses whose renditions are kept: sixteen at most, since each doubles the cost of a package. An address that was not used
/// for a while makes room; a flood of invented ones does not push out those in use.
/// </summary>
internal sealed class RecentBases(TimeProvider time)
{
    internal const int Max = 16;

    private static readonly TimeSpan IdleAfter = TimeSpan.FromMinutes(10);

    private readonly Lock _lock = new();
    private Entry[] _entries = [];

    /// <summary>True when renditions under this base are kept.</summary>
    internal bool TryKeep(string baseUrl)
    {
        var now = time.GetTimestamp();
        if (Find(baseUrl) is { } known)
        {
            known.UsedAt = now;
            return true;
        }

        lock (_lock)
        {
            if (Find(baseUrl) is not null)
            {
                return true;
            }

            var entry = new Entry(baseUrl) { UsedAt = now };
            if (_entries.Length < Max)
            {
                _entries = [.. _entries, entry];
                return true;
            }

            var idlest = IndexOfIdlest();
            if (time.GetElapsedTime(_entries[idlest].UsedAt, now) < IdleAfter)
            {
                return false;
            }

            var replaced = (Entry[])_entries.Clone();
            replaced[idlest] = entry;
            _entries = replaced;
            return true;
        }
    }

    private int IndexOfIdlest()
    {
        var idlest = 0;
        for (var i = 1; i < _entries.Length; i++)
        {
            idlest = _entries[i].UsedAt < _entries[idlest].UsedAt ? i : idlest;
        }

        return idlest;
    }

    private Entry? Find(string baseUrl)
    {
        foreach (var entry in Volatile.Read(ref _entries))
        {
            if (string.Equals(entry.BaseUrl, baseUrl, StringComparison.Ordinal))
            {
                return entry;
            }
        }

        return null;
    }

    private sealed class Entry(string baseUrl)
    {
        internal readonly string BaseUrl = baseUrl;
        internal long UsedAt;
    }
}
