using NpmMirror.Feeds;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

/// <summary>
/// A hostile upstream, a mirror or several on one store that die again and again, and a clock that a simulation moves, hours in a moment. Real requests over loopback; what
/// the course of time is decided here, the order of threads is not: a seed repeats a world, not its every step.
/// </summary>
internal sealed partial class SimulatedWorld : IAsyncDisposable
{
    private static readonly TimeSpan BeforeQuiet = TimeSpan.FromHours(40);
    private static readonly TimeSpan QuietMax = TimeSpan.FromHours(100);

    // Reproducible on purpose: not for secrets.
#pragma warning disable CA5394
    private readonly Random _random;
    private readonly WorldCounts _counts;
    private readonly WorldKind _kind;
    private readonly FakeClock _clock;
    private readonly FakeRegistry _upstream;
    private readonly FakeLife _life;
    private readonly MemoryStore _store;
    private readonly TempFolder _folder = new();
    private readonly MirrorOptions _options;
    private readonly FeedOptions _feed;
    private readonly TailLog _log;
    private readonly DateTimeOffset _begin;
    private readonly SimulatedMirror[] _mirrors;
    private string? _leader;
    private string? _fault;
    private bool _isQuiet;

    private SimulatedWorld(int seed, FakeRegistry upstream, FakeClock clock, WorldKind kind, WorldCounts counts)
    {
        _kind = kind;
        _random = new Random(seed);
        _counts = counts;
        _clock = clock;
        _begin = clock.GetUtcNow();
        _log = new TailLog(clock);
        _upstream = upstream;
        _upstream.Requests.RequestsMax = 10;
        _upstream.Knobs.Feed = kind.Dialect;
        _upstream.Knobs.Sequences = kind.Sequences;
        _life = new FakeLife(upstream, seed, packagesMax: 150);
        _store = new MemoryStore(clock);
        _options = new MirrorOptions { Metadata = MetadataMode.All, Data = _folder.Path, Concurrency = 4, Reconcile = kind.HasList ? TimeSpan.FromDays(1) : TimeSpan.Zero };
        // A heartbeat at which no step of the clock breaks a connection that waits, and a night's sleep of the machine does.
        _feed = new FeedOptions { Mode = kind.Mode, PageRows = 20, ListRows = 50, PollDelay = TimeSpan.FromMinutes(5), Timeout = TimeSpan.FromMinutes(20), Heartbeat = TimeSpan.FromMinutes(10) };
        _mirrors = [.. Enumerable.Range(0, kind.Nodes).Select(_ => NewMirror())];
    }

    internal static async Task<SimulatedWorld> StartAsync(int seed, WorldKind kind, WorldCounts counts)
    {
        var clock = new FakeClock();
        var world = new SimulatedWorld(seed, await FakeRegistry.StartAsync(time: clock), clock, kind, counts);
        world._upstream.Knobs.Mishaps.Seed = seed;
        world._life.Begin(80);
        foreach (var mirror in world._mirrors)
        {
            await StartAsync(mirror);
        }

        return world;
    }

    /// <summary>Lives through a hostile time and a quiet one, and then compares everything.</summary>
    internal async Task LiveAsync(CancellationToken cancellationToken)
    {
        TurnHostile();
        var nights = Nights();
        var next = 8.0;
        while (_clock.GetUtcNow() - _begin < BeforeQuiet)
        {
            await StepAsync(cancellationToken);
            if ((_clock.GetUtcNow() - _begin).TotalHours > next && nights.TryDequeue(out var night))
            {
                next += 9;
                await night(cancellationToken);
            }
        }

        TurnQuiet();
        await BecomeEqualAsync(cancellationToken);
        await CheckLogAsync(cancellationToken);
        var mishaps = _upstream.Knobs.Mishaps;
        _counts.Add(_kind, (_clock.GetUtcNow() - _begin).TotalHours);
        _counts.Changes += _life.ChangeCount;
        _counts.Removals += _life.RemovalCount;
        _counts.LateRows += mishaps.LateRowCount;
        _counts.LostRows += mishaps.LostRowCount;
        _counts.LostDeletions += mishaps.LostDeletionCount;
        _counts.Troubles += mishaps.TroubleCount;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var mirror in _mirrors)
        {
            await mirror.DisposeAsync();
        }

        await _store.DisposeAsync();
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    private void TurnHostile()
    {
        var mishaps = _upstream.Knobs.Mishaps;
        // Only the list tells the changes that the feed never does, and only npm's feed is known for late rows.
        (mishaps.LostRows, mishaps.LostDeletions) = _kind.HasList ? (0.02, 0.6) : (0, 0);
        (mishaps.LateRows, mishaps.DuplicateRows) = (_kind.Dialect == FakeFeedDialect.NpmPaged ? 0.1 : 0, 0.05);
        (mishaps.MalformedRows, mishaps.OddRows, mishaps.LaggingPackuments, mishaps.Troubles, mishaps.Hangs) = (0.02, 0.05, 0.2, 0.02, 0.001);
    }

    private void TurnQuiet()
    {
        _isQuiet = true;
        var mishaps = _upstream.Knobs.Mishaps;
        (mishaps.LateRows, mishaps.LostRows, mishaps.LostDeletions, mishaps.DuplicateRows) = (0, 0, 0, 0);
        (mishaps.MalformedRows, mishaps.OddRows, mishaps.LaggingPackuments, mishaps.Troubles, mishaps.Hangs) = (0, 0, 0, 0, 0);
        _upstream.Knobs.Clear();
        _upstream.Knobs.Unlisted.Clear();
        _upstream.Knobs.DocumentCount = null;
    }

    /// <summary>A little time, perhaps some changes, perhaps a crash.</summary>
    private async Task StepAsync(CancellationToken cancellationToken, bool isChanging = true)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (!_isQuiet && isChanging)
        {
            for (var changes = _random.Next(3); changes > 0; changes--)
            {
                _life.Change();
            }
        }

        // Now and then the machine sleeps for an hour.
        _clock.Advance(!_isQuiet && _random.Next(300) == 0 ? TimeSpan.FromHours(1) : TimeSpan.FromSeconds(_random.Next(1, 500)));
        await SettleAsync(cancellationToken);
        Assert.True(_fault is null, _fault);
        for (var node = 0; node < _mirrors.Length; node++)
        {
            if (_mirrors[node].Process.IsDead)
            {
                _counts.Crashes++;
                await RestartAsync(node, cancellationToken);
            }
        }
    }

    private async Task RestartAsync(int node, CancellationToken cancellationToken)
    {
        await _mirrors[node].DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), cancellationToken);
        _clock.Advance(TimeSpan.FromSeconds(_random.Next(1, 120)));
        _mirrors[node] = NewMirror();
        await StartAsync(_mirrors[node]);
        await SettleAsync(cancellationToken);
    }

    private static async Task StartAsync(SimulatedMirror mirror)
    {
        try
        {
            await mirror.StartAsync();
        }
        catch (MirrorException) when (mirror.Process.IsDead)
        {
            // Died at once: the next step begins another life.
        }
    }

    private SimulatedMirror NewMirror()
    {
        var mirror = new SimulatedMirror(_upstream, _store, _options, _feed, _isQuiet ? long.MaxValue : (long)Math.Pow(4_000, _random.NextDouble()), _clock, _log, _kind.Nodes > 1);
        mirror.Process.CursorIsSet = CheckCursor;
        mirror.Process.LeaseIsHeld = NoteLease;
        return mirror;
    }

    /// <summary>Counts how often another node leads than before.</summary>
    private void NoteLease(string name, string owner)
    {
        if (name == "lead" && Interlocked.Exchange(ref _leader, owner) is { } before && before != owner)
        {
            _counts.HandOvers++;
        }
    }

    /// <summary>Until nothing moves any more: no request is being answered, and the store was not asked for a moment.</summary>
    private async Task SettleAsync(CancellationToken cancellationToken)
    {
        var quiet = 0;
        var before = (0L, 0L);
        for (var waited = 0; waited < 500 && quiet < 2; waited++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, cancellationToken);
            var now = (_upstream.Requests.TotalCount, _mirrors.Sum(mirror => mirror.Process.Calls));
            quiet = now == before && _upstream.InFlight == 0 ? quiet + 1 : 0;
            before = now;
        }
    }

    /// <summary>The packages that equal the upstream's at this moment: later differences come from later rows.</summary>
    private async Task<HashSet<string>> EqualAsync(CancellationToken cancellationToken)
    {
        var held = new HashSet<string>();
        await foreach (var row in _store.Packages.ListAsync(null, isRemoved: false, cancellationToken))
        {
            if (_upstream.Revision(row.Name.Value) == row.Facts.Rev)
            {
                held.Add(row.Name.Value);
            }
        }

        return held;
    }

    private async Task<HashSet<string>> HeldAsync(CancellationToken cancellationToken)
    {
        var held = new HashSet<string>();
        await foreach (var row in _store.Packages.ListAsync(null, isRemoved: false, cancellationToken))
        {
            held.Add(row.Name.Value);
        }

        return held;
    }
#pragma warning restore CA5394
}
