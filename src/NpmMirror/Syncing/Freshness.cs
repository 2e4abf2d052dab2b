using System.Diagnostics.Metrics;
using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>When packages were last compared with the upstream, by this process. Only moments younger than the longest age matter, so it stays small.</summary>
internal sealed class Freshness
{
    // A forgotten one is asked for again sooner; nothing else is lost.
    private const int NamesMin = 100_000;

    private readonly BoundedCache<PackageName, Asked> _asked = new("compared packages", NamesMin);
    private readonly TimeSpan _ttl;
    private readonly TimeProvider _time;
    private long _noteCount;

    internal Freshness(PackageNews news, TimeSpan ttl, TimeProvider time, Meter? meter)
    {
        (_ttl, _time) = (ttl, time);
        _asked.MeasureIn(meter);
        news.Compared += Note;
    }

    /// <summary>The number of notes so far: a row that was read before may be older than a note about it now.</summary>
    public long NoteCount => Interlocked.Read(ref _noteCount);

    /// <summary>Whether the package was compared less than its time to live ago: longer for large ones that cannot be asked conditionally.</summary>
    public bool IsFresh(PackageRow row)
    {
        if (!_asked.TryGet(row.Name, out var asked))
        {
            return false;
        }

        var hasValidators = row.Facts.ETag is not null || row.Facts.LastModified is not null;
        var lifetime = hasValidators ? _ttl : _ttl + TimeSpan.FromMinutes(row.RawSizeBytes / 1_000_000.0);
        return _time.GetElapsedTime(asked.TriedAt) < lifetime;
    }

    /// <summary>Whether the held document is the upstream's answer to a request sent after this moment.</summary>
    public bool IsComparedSince(PackageName name, long moment) => _asked.TryGet(name, out var asked) && asked.AnsweredAt >= moment;

    /// <summary>Notes an answer of the upstream, by the moment when it was asked.</summary>
    private void Note(PackageName name, long askedAt) => Set(name, new Asked(askedAt, askedAt));

    /// <summary>Notes that the upstream gave no answer: it is asked again after the time to live, not with each request.</summary>
    public void NoteTrouble(PackageName name) =>
        Set(name, new Asked(_time.GetTimestamp(), _asked.TryGet(name, out var known) ? known.AnsweredAt : long.MinValue));

    private void Set(PackageName name, Asked asked)
    {
        // Counted first: a reader that sees the note sees the new count.
        Interlocked.Increment(ref _noteCount);
        _asked.Set(name, asked);
    }

    private readonly record struct Asked(long TriedAt, long AnsweredAt);
}
