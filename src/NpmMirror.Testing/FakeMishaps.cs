namespace NpmMirror.Testing;

/// <summary>
/// How often faults happen by chance and by a seed: the faults that <see cref="FakeKnobs"/> causes on command. Chances are of 1; times are those of the
/// registry's clock. Everything may be changed while it runs.
/// </summary>
public sealed class FakeMishaps
{
    private static readonly TimeSpan ShortestLate = TimeSpan.FromMinutes(1);

    // Reproducible on purpose: not for secrets.
#pragma warning disable CA5394
    private readonly Lock _lock = new();
    private Random _random = new(0);
    private int _lateRows;
    private int _lostRows;
    private int _lostDeletions;
    private int _troubles;

    /// <summary>Where the chances begin, and the registry's <see cref="FakeRegistry.Life"/>; setting it begins anew.</summary>
    public int Seed
    {
        get;
        set
        {
            lock (_lock)
            {
                field = value;
                _random = new Random(value);
            }
        }
    }

    /// <summary>The probability that a row appears late, before cursors that have passed.</summary>
    public double LateRows { get; set; }

    /// <summary>How late at most; most are minutes late, few are near this.</summary>
    public TimeSpan LateRowsMax { get; set; } = TimeSpan.FromHours(24);

    /// <summary>How many rows never appear.</summary>
    public double LostRows { get; set; }

    /// <summary>How many deletions get no row: the package is gone, and the feed never says so.</summary>
    public double LostDeletions { get; set; }

    /// <summary>How many rows come twice.</summary>
    public double DuplicateRows { get; set; }

    /// <summary>How many pages of the feed have malformed rows.</summary>
    public double MalformedRows { get; set; }

    /// <summary>How many pages of the feed have rows whose id is no package's.</summary>
    public double OddRows { get; set; }

    /// <summary>How many changes reach the packument later than the feed.</summary>
    public double LaggingPackuments { get; set; }

    /// <summary>How late at most.</summary>
    public TimeSpan LaggingMax { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>How long a new tarball is a 404.</summary>
    public TimeSpan FreshTarballs { get; set; }

    /// <summary>How many requests go wrong in a way that passes: 429 with HTML and <c>Retry-After: 0</c>, 500, 503, an answer that is cut, reset or half a gzip.</summary>
    public double Troubles { get; set; }

    /// <summary>How many requests are never answered.</summary>
    public double Hangs { get; set; }

    /// <summary>Rows that came, or will come, late.</summary>
    public int LateRowCount => Volatile.Read(ref _lateRows);

    /// <summary>Rows that never come, deletions aside.</summary>
    public int LostRowCount => Volatile.Read(ref _lostRows);

    /// <summary>Deletions without a row.</summary>
    public int LostDeletionCount => Volatile.Read(ref _lostDeletions);

    /// <summary>Requests that went wrong by <see cref="Troubles"/> and <see cref="Hangs"/>.</summary>
    public int TroubleCount => Volatile.Read(ref _troubles);

    /// <summary>When a new row is to appear: null at once, <see cref="DateTimeOffset.MaxValue"/> never.</summary>
    internal DateTimeOffset? RowAppearsAt(bool isDeleted, DateTimeOffset now)
    {
        if (isDeleted && Happens(LostDeletions))
        {
            Interlocked.Increment(ref _lostDeletions);
            return DateTimeOffset.MaxValue;
        }

        if (Happens(LostRows))
        {
            Interlocked.Increment(ref _lostRows);
            return DateTimeOffset.MaxValue;
        }

        if (!Happens(LateRows))
        {
            return null;
        }

        Interlocked.Increment(ref _lateRows);
        var shortest = ShortestLate < LateRowsMax / 10 ? ShortestLate : LateRowsMax / 10;
        return now + (shortest * Math.Pow(LateRowsMax / shortest, NextDouble()));
    }

    /// <summary>When a change reaches its packument: null at once.</summary>
    internal DateTimeOffset? PackumentFollowsAt(DateTimeOffset now) => Happens(LaggingPackuments) ? now + (LaggingMax * NextDouble()) : null;

    /// <summary>Something that goes wrong with a request, or null.</summary>
    internal FakeRule? NextTrouble()
    {
        var trouble = Happens(Hangs) ? new FakeRule { Hangs = true } : Happens(Troubles) ? OneOf() : null;
        if (trouble is not null)
        {
            Interlocked.Increment(ref _troubles);
        }

        return trouble;
    }

    internal bool Happens(double chance) => chance > 0 && NextDouble() < chance;

    internal int Next(int end)
    {
        lock (_lock)
        {
            return _random.Next(end);
        }
    }

    private double NextDouble()
    {
        lock (_lock)
        {
            return _random.NextDouble();
        }
    }
#pragma warning restore CA5394

    private FakeRule OneOf() => Next(8) switch
    {
        0 or 1 => new FakeRule { Status = 429, RetryAfter = "0" },
        2 => new FakeRule { Status = 500 },
        3 => new FakeRule { Status = 503, RetryAfter = "2" },
        4 => new FakeRule { Status = 522, ContentType = "text/plain", Body = "error code: 522" },
        5 => new FakeRule { CutAfterBytes = 30 },
        6 => new FakeRule { CutAfterBytes = 200, ResetsAtCut = true },
        _ => new FakeRule { TruncatesGzip = true },
    };
}
