using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Testing;
using NpmMirror.Tests.Syncing;

namespace NpmMirror.Tests.Removals;

/// <summary>More removals within an hour than one should bring: the rest stays, and the operator hears of it.</summary>
public sealed class HourlyBreakerTests : IAsyncLifetime
{
    private const int Packages = 120;

    private readonly MirrorOptions _options = new();
    private MirrorBench _bench = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _bench = await MirrorBench.StartAsync(_options);
        foreach (var i in Enumerable.Range(0, Packages))
        {
            _bench.Upstream.Publish(new FakePackage($"p{i}").Version("1.0.0"));
            await _bench.SyncAsync($"p{i}");
        }
    }

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Claim("Within an hour no more is removed than one reconciliation may remove; the rest stays, `status` and the exit code of `reconcile` say so, accepting lets removals go on, and a bad night ends by itself",
        With =
        [
            nameof(Unpublished_packages_and_those_taken_down_count_too),
            nameof(Fewer_than_that_every_hour_go_on_for_ever),
            nameof(It_holds_while_removals_are_many_and_ends_by_itself_when_few),
            nameof(Accepted_by_the_operator_they_go_on_at_once_also_from_another_process),
            nameof(The_option_lets_them_pass),
            nameof(Removals_of_another_process_count_for_an_hour),
        ],
        Red = "`HourlyBreaker` never finds the sum too high: the first, second, fourth and fifth were red; `now + Hour` in `WithinHour`")]
    [Fact]
    public async Task Beyond_fifty_in_an_hour_nothing_more_is_removed_and_it_is_told()
    {
        Assert.Equal(50, await DeleteAsync(0, 60));
        var state = await RemovalState.ReadAsync(_bench.Store, Token);
        Assert.True(state.IsHeld(_bench.Clock.GetUtcNow()));
        Assert.Contains("50 packages were removed within an hour", state.Reason, StringComparison.Ordinal);
        var missingSince = _bench.Clock.GetUtcNow() - TimeSpan.FromMinutes(5);
        var held = await _bench.SyncAsync("p59", Deletion("p59") with { MissingSince = missingSince });
        Assert.Equal(missingSince, held.MissingSince);
        Assert.Equal(state.Reason, Assert.IsType<SyncResult.Unchanged>(held).RetryBecause);
    }

    [Fact]
    public async Task Unpublished_packages_and_those_taken_down_count_too()
    {
        Assert.Equal(50, await DeleteAsync(0, 50));
        _bench.Upstream.Unpublish("p60");
        _bench.Upstream.TakeDown("p61");
        Assert.NotNull(Assert.IsType<SyncResult.Unchanged>(await _bench.SyncAsync("p60")).RetryBecause);
        Assert.NotNull(Assert.IsType<SyncResult.Unchanged>(await _bench.SyncAsync("p61")).RetryBecause);
        Assert.Null((await _bench.RowAsync("p61"))!.Facts.Removal);
    }

    [Fact]
    public async Task Fewer_than_that_every_hour_go_on_for_ever()
    {
        for (var hour = 0; hour < 3; hour++)
        {
            Assert.Equal(40, await DeleteAsync(hour * 40, 40));
            _bench.Clock.Advance(TimeSpan.FromMinutes(66));
        }
    }

    [Fact]
    public async Task It_holds_while_removals_are_many_and_ends_by_itself_when_few()
    {
        Assert.Equal(50, await DeleteAsync(0, 50));
        for (var quarter = 0; quarter < 12; quarter++)
        {
            _bench.Clock.Advance(TimeSpan.FromMinutes(15));
            Assert.Equal(0, await DeleteAsync(50, 60));
        }

        // The rest turned out to live: the remaining removals are within the limit of an hour.
        for (var quarter = 0; quarter < 5; quarter++)
        {
            _bench.Clock.Advance(TimeSpan.FromMinutes(15));
            await DeleteAsync(50, 5);
        }

        Assert.Equal(RemovalKind.Gone, (await _bench.RowAsync("p50"))!.Facts.Removal);
        Assert.False((await RemovalState.ReadAsync(_bench.Store, Token)).IsHeld(_bench.Clock.GetUtcNow()));
    }

    [Fact]
    public async Task Accepted_by_the_operator_they_go_on_at_once_also_from_another_process()
    {
        Assert.Equal(50, await DeleteAsync(0, 60));
        await RemovalState.AcceptAsync(_bench.Store, _bench.Clock.GetUtcNow(), Token);
        Assert.Equal(70, await DeleteAsync(50, 70));
        Assert.False((await RemovalState.ReadAsync(_bench.Store, Token)).IsHeld(_bench.Clock.GetUtcNow()));
    }

    [Claim("A wall clock that is set lets no extra removals pass and holds none for longer",
        With = [nameof(An_acceptance_of_a_clock_that_was_ahead_ends_when_the_clock_is_right)],
        Red = "the hours of `HourlyBreaker` counted by `GetUtcNow` alone: both red")]
    [Theory]
    [InlineData(400 * 24)]
    [InlineData(2)]
    [InlineData(-2)]
    public async Task A_wall_clock_that_is_set_lets_no_more_go_and_holds_nothing_for_longer(int hours)
    {
        Assert.Equal(50, await DeleteAsync(0, 50));
        _bench.Clock.SetWallAhead(TimeSpan.FromHours(hours));
        Assert.Equal(0, await DeleteAsync(50, 5));
        Assert.True((await RemovalState.ReadAsync(_bench.Store, Token)).IsHeld(_bench.Clock.GetUtcNow()));
        _bench.Clock.SetWallAhead(TimeSpan.Zero);
        Assert.Equal(0, await DeleteAsync(50, 5));
        Assert.True((await RemovalState.ReadAsync(_bench.Store, Token)).IsHeld(_bench.Clock.GetUtcNow()));
        for (var quarter = 0; quarter < 4; quarter++)
        {
            _bench.Clock.Advance(TimeSpan.FromMinutes(15));
            await DeleteAsync(50, 5);
        }

        Assert.Equal(RemovalKind.Gone, (await _bench.RowAsync("p50"))!.Facts.Removal);
    }

    [Fact]
    public async Task An_acceptance_of_a_clock_that_was_ahead_ends_when_the_clock_is_right()
    {
        _bench.Clock.SetWallAhead(TimeSpan.FromDays(400));
        await RemovalState.AcceptAsync(_bench.Store, _bench.Clock.GetUtcNow(), Token);
        _bench.Clock.SetWallAhead(TimeSpan.Zero);
        Assert.Equal(50, await DeleteAsync(0, 60));
    }

    [Theory]
    [InlineData(0, 20)]
    [InlineData(54, 20)]
    [InlineData(66, 50)]
    public async Task Removals_of_another_process_count_for_an_hour(int minutesAgo, int more)
    {
        Assert.Equal(30, await DeleteAsync(0, 30));
        _bench.Clock.Advance(TimeSpan.FromMinutes(minutesAgo));
        using var next = new HourlyBreaker(_bench.Store, _options, _bench.Clock, NullLogger.Instance);
        for (var i = 0; i < more; i++)
        {
            Assert.Null(await next.FindReasonAsync(PackageName.Parse($"p{i}"), Token));
        }

        Assert.NotNull(await next.FindReasonAsync(PackageName.Parse("one-more"), Token));
    }

    [Claim("Only removals are held back: changes, first documents of security holders and later ones go on",
        Red = "`PackageSync.StoreAsync` asks the breaker for every document, or for every one of a security holder")]
    [Fact]
    public async Task While_removals_are_held_back_changes_are_stored()
    {
        _bench.Upstream.TakeDown("p61");
        await _bench.SyncAsync("p61");
        Assert.Equal(49, await DeleteAsync(0, 60));
        _bench.Upstream.PublishVersion("p62", "2.0.0");
        Assert.IsType<SyncResult.Stored>(await _bench.SyncAsync("p62"));
        _bench.Upstream.Touch("p61");
        Assert.IsType<SyncResult.Stored>(await _bench.SyncAsync("p61"));
        _bench.Upstream.Publish(new FakePackage("new").Version("1.0.0"));
        _bench.Upstream.TakeDown("new");
        Assert.IsType<SyncResult.Stored>(await _bench.SyncAsync("new"));
        Assert.Equal(RemovalKind.SecurityHolder, (await _bench.RowAsync("new"))!.Facts.Removal);
    }

    [Fact]
    public async Task The_option_lets_them_pass()
    {
        _options.AcceptRemovals = true;
        Assert.Equal(100, await DeleteAsync(0, 100));
    }

    private QueueItem Deletion(string name) => _bench.Item(name) with { IsDeletedRow = true };

    /// <summary>The feed flags deletions, the upstream answers 404; how many went.</summary>
    private async Task<int> DeleteAsync(int from, int count)
    {
        var removed = 0;
        foreach (var i in Enumerable.Range(from, count))
        {
            if (_bench.Upstream.Revision($"p{i}") is not null && _bench.Upstream.Packument($"p{i}") is not null)
            {
                _bench.Upstream.Delete($"p{i}");
            }

            removed += await _bench.SyncAsync($"p{i}", Deletion($"p{i}")) is SyncResult.Removed ? 1 : 0;
        }

        return removed;
    }
}
