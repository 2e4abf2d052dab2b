using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Options;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Following;

/// <summary>A machine's clock was wrong and is set right, or leaps: a mirror goes on within ten minutes.</summary>
public sealed class WallClockTests : IAsyncLifetime
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly FakeClock _clock = new();
    private MirrorBench _bench = null!;
    private RegistryMirror _mirror = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _bench = await MirrorBench.StartAsync(new MirrorOptions { Metadata = MetadataMode.All }, clientTime: _clock);
        _bench.Upstream.Knobs.Feed = FakeFeedDialect.NpmPaged;
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.StopAsync(CancellationToken.None);
        await _bench.DisposeAsync();
    }

    [Claim("A wall clock that was wrong and is set right, or leaps, stops neither following nor the queue nor requests for longer than ten minutes",
        Red = "the due times of the store believed as they are: red for 400 days ahead, an hour back and an hour ahead")]
    [Trait("Duration", "long")]
    [Theory]
    [InlineData(400 * 24, 0)]
    [InlineData(0, -1)]
    [InlineData(0, 400 * 24)]
    [InlineData(-400 * 24, 0)]
    [InlineData(1, -1)]
    public async Task Following_queue_and_requests_go_on_within_ten_minutes(int hoursBefore, int hoursAfter)
    {
        _clock.SetWallAhead(TimeSpan.FromHours(hoursBefore));
        foreach (var name in new[] { "a", "b", "c" })
        {
            _bench.Upstream.Publish(new FakePackage(name).Version("1.0.0"));
        }

        var failing = new[] { "/a", "/b", "/wished" }.Select(path => _bench.Upstream.Knobs.Fail(path, 503)).ToList();
        await StartAsync();
        await WithinAsync(10 * Minute, () => IsHeldAsync("c"));
        var wished = Assert.ThrowsAsync<MirrorException>(async () => await _bench.ReadThrough.FindAsync(PackageName.Parse("wished"), Token));
        await WithinAsync(10 * Minute, () => Task.FromResult(wished.IsCompleted));
        await PassAsync(20 * Minute);
        Assert.False(await IsHeldAsync("a", "b"));

        _clock.SetWallAhead(TimeSpan.FromHours(hoursAfter));
        failing.ForEach(rule => _bench.Upstream.Knobs.Remove(rule));
        _bench.Upstream.Publish(new FakePackage("d").Version("1.0.0"));
        _bench.Upstream.Publish(new FakePackage("wished").Version("1.0.0"));
        _bench.Upstream.PublishVersion("c", "1.1.0");
        await WithinAsync(10 * Minute, () => IsHeldAsync("a", "b", "c", "d", "wished"));
        Assert.Equal(0, (await _bench.Store.CountAsync(Token)).Queued);
        Assert.True(_mirror.Monitor!.IsConnected);
    }

    private async Task StartAsync()
    {
        var feed = new PagedChangeFeed(_bench.Client, _bench.Upstream.FeedUrl, new FeedOptions { PageRows = 2 });
        _mirror = new RegistryMirror(_bench.Store, _bench.Client, _bench.Known, _bench.Queue, _bench.News, new PackageScope(_bench.Options), _ => Task.FromResult<IChangeFeed?>(feed), _bench.Options, _clock, NullLoggerFactory.Instance);
        await _mirror.StartAsync(Token);
    }

    /// <summary>Lets time pass in steps of ten seconds, each given its moment.</summary>
    private async Task PassAsync(TimeSpan time)
    {
        for (var left = time; left > TimeSpan.Zero; left -= TimeSpan.FromSeconds(10))
        {
            _clock.Advance(TimeSpan.FromSeconds(10));
            await SettleAsync();
        }
    }

    /// <summary>As <see cref="PassAsync"/>, until something is true: within so much time.</summary>
    private async Task WithinAsync(TimeSpan time, Func<Task<bool>> isTrue, [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(isTrue))] string? what = null)
    {
        for (var left = time; !await isTrue(); left -= Minute)
        {
            if (left <= TimeSpan.Zero)
            {
                // No more time, but work that has begun may end.
                await Eventually.Async(isTrue, $"within {time}: {what}");
                return;
            }

            await PassAsync(Minute);
        }
    }

    private async Task SettleAsync()
    {
        var before = -1L;
        for (var quiet = 0; quiet < 3;)
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
}
