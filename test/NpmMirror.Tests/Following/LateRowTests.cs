using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Following;

/// <summary>Rows that appear before the cursor of a mirror that follows npm's paged feed; its clock is moved by hand.</summary>
[Trait("Duration", "long")]
public sealed class LateRowTests : IAsyncLifetime
{
    private MirrorBench _bench = null!;
    private RegistryMirror _mirror = null!;
    private Func<Sequence, bool> _isBroken = _ => false;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _bench = await MirrorBench.StartAsync(new MirrorOptions { Metadata = MetadataMode.All });
        _bench.Upstream.Knobs.Feed = FakeFeedDialect.NpmPaged;
        foreach (var name in new[] { "a", "b", "c" })
        {
            _bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
        }

        _bench.Upstream.JumpFeed(1_000);
        _bench.Upstream.Publish(new FakePackage("d").Version("1.0.0"));
        await StartAsync();
        await WithinAsync(TimeSpan.FromMinutes(30), () => IsHeldAsync("a", "b", "c", "d"));
        _bench.Upstream.PublishVersion("d", "1.1.0");
        await WithinAsync(TimeSpan.FromMinutes(5), () => IsHeldAsync("d"));
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _bench.DisposeAsync();
    }

    [Claim("Rows that appear before the cursor are found: minutes late at the next idle poll, hours late within the hour, a day late within the day, also those that came while the mirror was down (never-again 10)",
        With =
        [
            nameof(A_row_hours_late_is_found_in_an_hour_and_one_a_day_late_in_a_day),
            nameof(A_row_that_came_while_the_mirror_was_down_is_found_by_the_next_one),
        ],
        Red = "windows that go back from the present: the last was red")]
    [Fact]
    public async Task A_row_before_the_cursor_is_found_at_an_idle_poll()
    {
        _bench.Upstream.TouchAt("a", _bench.Upstream.HeadSequence - 1);
        await WithinAsync(TimeSpan.FromMinutes(5), () => IsHeldAsync("a"));
        await WithinAsync(TimeSpan.FromMinutes(5), async () => (await StateAsync()).LateRows == 1);
        Assert.NotNull((await StateAsync()).LastLateAt);
    }

    [Claim("Reading a stretch of the feed again costs no request for known rows, and a failure of it holds nothing up",
        With = [nameof(A_window_that_cannot_be_read_holds_nothing_up)],
        Red = "`QueueingHandler.IsKnown` does not compare revisions: the first was red; `LateRowSearch` lets the failure end the read, or waits until the next try: the last")]
    [Fact]
    public async Task Known_rows_are_read_again_without_a_request()
    {
        _bench.Upstream.Requests.Clear();
        await PassAsync(TimeSpan.FromHours(2));
        Assert.True(_bench.Upstream.Requests.CountOf("*/_changes") > 20);
        Assert.All(new[] { "/a", "/b", "/c", "/d" }, path => Assert.Equal(0, _bench.Upstream.Requests.CountOf(path)));
        Assert.Equal(0, (await StateAsync()).LateRows);
    }

    [Fact]
    public async Task A_row_that_came_while_the_mirror_was_down_is_found_by_the_next_one()
    {
        await StopAsync();
        _bench.Upstream.TouchAt("b", _bench.Upstream.HeadSequence - 2);
        _bench.Clock.Advance(TimeSpan.FromHours(20));
        await StartAsync();
        await WithinAsync(TimeSpan.FromHours(1), () => IsHeldAsync("b"));
        Assert.Equal(1, _bench.Upstream.Requests.CountOf("/c"));
    }

    [Fact]
    public async Task A_row_hours_late_is_found_in_an_hour_and_one_a_day_late_in_a_day()
    {
        var passed = _bench.Upstream.HeadSequence;
        _bench.Upstream.JumpFeed(10);
        for (var hour = 0; hour < 5; hour++)
        {
            _bench.Upstream.PublishVersion("d", $"2.{hour}.0");
            await PassAsync(TimeSpan.FromHours(1));
        }

        _bench.Upstream.TouchAt("c", passed + 1);
        await WithinAsync(TimeSpan.FromMinutes(75), () => IsHeldAsync("c"));
        for (var hour = 0; hour < 12; hour++)
        {
            _bench.Upstream.PublishVersion("d", $"3.{hour}.0");
            await PassAsync(TimeSpan.FromHours(1));
        }

        _bench.Upstream.TouchAt("a", passed + 2);
        await WithinAsync(TimeSpan.FromHours(25), () => IsHeldAsync("a"));
        await WithinAsync(TimeSpan.FromMinutes(5), async () => (await StateAsync()).LongestLate > TimeSpan.FromHours(12));
    }

    [Fact]
    public async Task A_window_that_cannot_be_read_holds_nothing_up()
    {
        var head = _bench.Upstream.HeadSequence;
        _isBroken = since => since.Number < head;
        _bench.Upstream.TouchAt("a", head - 1);
        _bench.Upstream.PublishVersion("d", "5.0.0");
        await WithinAsync(TimeSpan.FromMinutes(5), () => IsHeldAsync("d"));
        for (var change = 1; change <= 12; change++)
        {
            _bench.Upstream.PublishVersion("d", $"5.{change}.0");
            await WithinAsync(TimeSpan.FromMinutes(5), () => IsHeldAsync("d"));
            Assert.True(_mirror.Monitor!.IsConnected);
        }

        await PassAsync(TimeSpan.FromHours(1));
        Assert.False(await IsHeldAsync("a"));
        _isBroken = _ => false;
        await WithinAsync(TimeSpan.FromHours(2), () => IsHeldAsync("a"));
    }

    private async Task StartAsync()
    {
        var feed = new PartlyBrokenFeed(new PagedChangeFeed(_bench.Client, _bench.Upstream.FeedUrl, new FeedOptions { PageRows = 2 }), since => _isBroken(since));
        _mirror = new RegistryMirror(_bench.Store, _bench.Client, _bench.Known, _bench.Queue, _bench.News, new PackageScope(_bench.Options), _ => Task.FromResult<IChangeFeed?>(feed), _bench.Options, _bench.Clock, NullLoggerFactory.Instance);
        await _mirror.StartAsync(Token);
    }

    private Task StopAsync() => _mirror.StopAsync(CancellationToken.None);

    /// <summary>Lets time pass in steps, each given its moment.</summary>
    private async Task PassAsync(TimeSpan time)
    {
        for (var left = time; left > TimeSpan.Zero; left -= TimeSpan.FromMinutes(1))
        {
            _bench.Clock.Advance(TimeSpan.FromMinutes(1));
            await SettleAsync();
        }
    }

    /// <summary>As <see cref="PassAsync"/>, until something is true: within so much time.</summary>
    private async Task WithinAsync(TimeSpan time, Func<Task<bool>> isTrue, [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(isTrue))] string? what = null)
    {
        for (var left = time; !await isTrue(); left -= TimeSpan.FromMinutes(1))
        {
            if (left <= TimeSpan.Zero)
            {
                // No more time, but work that has begun may end.
                await Eventually.Async(isTrue, $"within {time}: {what}");
                return;
            }

            await PassAsync(TimeSpan.FromMinutes(1));
        }
    }

    private async Task SettleAsync()
    {
        var before = -1L;
        for (var quiet = 0; quiet < 5;)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Token);
            var now = _bench.Upstream.Requests.TotalCount;
            quiet = now == before && _bench.Upstream.InFlight == 0 && _bench.Queue.InFlight == 0 ? quiet + 1 : 0;
            before = now;
        }
    }

    private async Task<bool> IsHeldAsync(params string[] names)
    {
        foreach (var name in names)
        {
            if ((await _bench.RowAsync(name))?.Facts.Rev != _bench.Upstream.Revision(name))
            {
                return false;
            }
        }

        return true;
    }

    private async Task<FollowingState> StateAsync() => FollowingState.Parse(await _bench.Store.Notes.FindNoteAsync(MirrorCursors.Trail, Token));

    /// <summary>A feed that cannot be read from some places.</summary>
    private sealed class PartlyBrokenFeed(IChangeFeed feed, Func<Sequence, bool> isBroken) : IChangeFeed
    {
        public string Location => feed.Location;

        public TimeSpan IdleDelay => feed.IdleDelay;

        public long LateSequences => feed.LateSequences;

        public Task<FeedInfo> GetInfoAsync(CancellationToken cancellationToken) => feed.GetInfoAsync(cancellationToken);

        public IAsyncEnumerable<ChangesPage> ReadAsync(Sequence since, Action? onAccepted, CancellationToken cancellationToken) =>
            isBroken(since) ? throw new MirrorException(MirrorFault.UpstreamUnavailable, "No.", isTransient: true) : feed.ReadAsync(since, onAccepted, cancellationToken);

        public IAsyncEnumerable<ListedPackage> ListAllAsync(CancellationToken cancellationToken) => feed.ListAllAsync(cancellationToken);
    }
}
