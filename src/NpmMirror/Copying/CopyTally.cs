using NpmMirror.Storage;

namespace NpmMirror.Copying;

/// <summary>Counts the work of a copy, tells its progress, and each finding once.</summary>
internal sealed class CopyTally(CopyRequest request)
{
    // Above it, a finding may be told twice.
    private const int RememberedMax = 100_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, long> _copied = new(StringComparer.Ordinal);
    private readonly HashSet<CopyFinding> _told = [];
    private string _part = "";
    private long? _total;
    private long _done;

    /// <summary>The differences of this pass.</summary>
    internal long Changes { get; private set; }

    /// <summary>What the source has, as this pass counted it.</summary>
    internal StoreCounts Seen { get; private set; } = new(0, 0, 0, 0, 0, 0);

    internal long BlobBytes { get; private set; }

    internal int Found { get; private set; }

    internal IReadOnlyDictionary<string, long> Copied => _copied;

    internal void BeginPass() => (Changes, Seen) = (0, new StoreCounts(0, 0, 0, 0, 0, 0));

    internal void BeginPart(string part, long? total = null) => (_part, _total, _done) = (part, total, 0);

    /// <summary>One more was looked at.</summary>
    internal void Look(Func<StoreCounts, StoreCounts>? count = null)
    {
        lock (_lock)
        {
            _done++;
            Seen = count is null ? Seen : count(Seen);
            request.Progress?.Invoke(new CopyProgress(_part, _done, _total, _copied.GetValueOrDefault(_part)));
        }
    }

    /// <summary>Some were different, and written.</summary>
    internal void Copy(long rows = 1, long blobBytes = 0) => Copy(_part, rows, blobBytes);

    /// <inheritdoc cref="Copy(long, long)"/>
    internal void Copy(string part, long rows = 1, long blobBytes = 0)
    {
        lock (_lock)
        {
            Changes += rows;
            BlobBytes += blobBytes;
            _copied[part] = _copied.GetValueOrDefault(part) + rows;
        }
    }

    internal void Find(string subject, string problem)
    {
        lock (_lock)
        {
            var finding = new CopyFinding(subject, problem);
            if (_told.Count >= RememberedMax || _told.Add(finding))
            {
                Found++;
                request.Found?.Invoke(finding);
            }
        }
    }
}
