using System.Collections.Concurrent;
using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

/// <summary>When packages were last compared with the upstream, by this process. Only moments younger than the longest age matter, so it stays small.</summary>
internal sealed class Freshness(TimeSpan ttl, TimeProvider time)
{
    private const int NamesMax = 200_000;

    private readonly ConcurrentDictionary<PackageName, long> _checkedAt = new();

    /// <summary>Whether the package was compared less than its time to live ago: longer for large ones that cannot be asked conditionally.</summary>
    public bool IsFresh(PackageRow row)
    {
        var hasValidators = row.Facts.ETag is not null || row.Facts.LastModified is not null;
        var lifetime = hasValidators ? ttl : ttl + TimeSpan.FromMinutes(row.RawSizeBytes / 1_000_000.0);
        return _checkedAt.TryGetValue(row.Name, out var at) && time.GetElapsedTime(at) < lifetime;
    }

    public void Note(PackageName name)
    {
        if (_checkedAt.Count >= NamesMax)
        {
            // Those at hand are asked again sooner; nothing else is lost.
            _checkedAt.Clear();
        }

        _checkedAt[name] = time.GetTimestamp();
    }
}
