using NpmMirror.Feeds;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

/// <summary>A mirror whose upstream's database begins anew under the same name, with smaller numbers: nothing but those tells.</summary>
public sealed class MirrorResetTests : IAsyncLifetime
{
    private static readonly TimeSpan Long = TimeSpan.FromHours(100);

    private readonly FakeClock _clock = new();
    private readonly TempFolder _folder = new();
    private FakeRegistry _upstream = null!;
    private MemoryStore _store = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync(time: _clock, cancellationToken: Token);
        _store = new MemoryStore(_clock);
        for (var i = 0; i < 40; i++)
        {
            _upstream.Publish(new FakePackage($"p{i % 8}").Version("1.0.0"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("An upstream whose database begins anew under the same name is equal again by following alone, with any kind of sequences, during a wait for a change and while no process follows",
        With = [nameof(Becomes_equal_when_it_happens_without_a_follower)],
        Red = "`Sequence.IsBefore` compares whole numbers only; nothing is looked at beside an open read: the first was red; that the monitor found a reset is not passed on to `FeedStart`: the first was red")]
    [Theory]
    [InlineData(FeedMode.Longpoll, FakeSequenceStyle.Array)]
    [InlineData(FeedMode.Continuous, FakeSequenceStyle.Text)]
    [InlineData(FeedMode.Continuous, FakeSequenceStyle.Number)]
    public async Task Becomes_equal_when_it_happens_while_a_change_is_waited_for(FeedMode mode, FakeSequenceStyle style)
    {
        await using var mirror = await StartAsync(mode, style);
        await WaitAtHeadAsync();
        Reset();
        await BecomeEqualAsync();
    }

    [Theory]
    [InlineData(FakeSequenceStyle.Array)]
    [InlineData(FakeSequenceStyle.Text)]
    public async Task Becomes_equal_when_it_happens_without_a_follower(FakeSequenceStyle style)
    {
        await using (await StartAsync(FeedMode.Longpoll, style))
        {
            await WaitAtHeadAsync();
        }

        Reset();
        await using var mirror = await StartAsync(FeedMode.Longpoll, style);
        await BecomeEqualAsync();
    }

    [Fact]
    public async Task Becomes_equal_when_it_grew_past_the_cursor_without_a_follower()
    {
        await using (await StartAsync(FeedMode.Longpoll, FakeSequenceStyle.Number))
        {
            await WaitAtHeadAsync();
        }

        Reset();
        for (var i = 0; i < 60; i++)
        {
            _upstream.Publish(new FakePackage($"n{i}").Version("1.0.0"));
        }

        await using var mirror = await StartAsync(FeedMode.Longpoll, FakeSequenceStyle.Number);
        await BecomeEqualAsync();
    }

    private async Task<SimulatedMirror> StartAsync(FeedMode mode, FakeSequenceStyle style)
    {
        _upstream.Knobs.Sequences = style;
        // Without the weekly comparison: the follower alone must find it.
        var options = new MirrorOptions { Metadata = MetadataMode.All, Data = _folder.Path, Reconcile = TimeSpan.Zero };
        var mirror = new SimulatedMirror(_upstream, _store, options, new FeedOptions { Mode = mode, Timeout = Long, Heartbeat = Long }, long.MaxValue, _clock, new TailLog(_clock));
        await mirror.StartAsync();
        return mirror;
    }

    private async Task WaitAtHeadAsync()
    {
        await PassUntilAsync(async () => (await _store.CountAsync(Token)).Packages == 8);
        await _upstream.Requests.WaitForAsync(request => request.Target.Contains("feed=", StringComparison.Ordinal), Token);
    }

    /// <summary>A follower does not wait for the rows that follow: all of them are before its cursor.</summary>
    private void Reset()
    {
        _upstream.ResetFeed(_upstream.Knobs.DatabaseId);
        _upstream.Publish(new FakePackage("new").Version("1.0.0"));
        _upstream.PublishVersion("p1", "2.0.0");
        _upstream.Unpublish("p2");
        _upstream.TakeDown("p3");
        _upstream.Delete("p4");
        Assert.True(_upstream.HeadSequence < 40);
    }

    private Task BecomeEqualAsync() => PassUntilAsync(async () =>
    {
        foreach (var name in new[] { "p0", "p1", "p3", "p5", "p6", "p7", "new" })
        {
            if (await FindAsync(name) is not { Facts.IsRemoved: false } row || row.Facts.Rev != _upstream.Revision(name))
            {
                return false;
            }
        }

        return await FindAsync("p2") is null or { Facts.IsRemoved: true } && await FindAsync("p4") is null or { Facts.IsRemoved: true };
    });

    private async Task<PackageRow?> FindAsync(string name) => await _store.Packages.FindAsync(PackageName.Parse(name), Token);

    private Task PassUntilAsync(Func<Task<bool>> condition) => Eventually.Async(async () =>
    {
        _clock.Advance(TimeSpan.FromSeconds(20));
        return await condition();
    });
}
