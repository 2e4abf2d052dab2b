using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Options;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Tests.Maintenance;

namespace NpmMirror.Tests.Removals;

/// <summary>The hours of the breaker to the second: fifty removals within one, in this process and in the next.</summary>
public sealed class HourlyBreakerBoundsTests : IAsyncDisposable
{
    private const int Most = 50;

    private readonly FakeClock _clock = new();
    private readonly MirrorOptions _options = new();
    private readonly List<HourlyBreaker> _breakers = [];
    private readonly MemoryStore _store;

    public HourlyBreakerBoundsTests() => _store = new MemoryStore(_clock);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        _breakers.ForEach(breaker => breaker.Dispose());
        await _store.DisposeAsync();
    }

    [Claim("Removals stay held back while more are demanded than an hour may bring, also after a hundred thousand names",
        Red = "`HourlyBreaker.Demand` keeps the old names, and has no room for new ones")]
    [Fact]
    public async Task Demands_count_also_after_a_hundred_thousand_names()
    {
        var breaker = Breaker();
        Assert.Equal(Most, await PassAsync(breaker, 0, Most));
        Assert.Equal(0, await PassAsync(breaker, 1_000, 100_000 - Most - 1));
        _clock.Advance(TimeSpan.FromMinutes(50));
        Assert.Equal(0, await PassAsync(breaker, 200_000, Most + 1));
        _clock.Advance(TimeSpan.FromMinutes(15));
        Assert.Equal(0, await PassAsync(breaker, 300_000, Most + 1));
        _clock.Advance(TimeSpan.FromMinutes(50));
        Assert.NotNull(await breaker.FindReasonAsync(Name(400_000), Token));
    }

    [Theory]
    [InlineData(3599, false)]
    [InlineData(3600, true)]
    public async Task Removals_of_this_process_count_for_an_hour(int seconds, bool isOver)
    {
        var breaker = Breaker();
        Assert.Equal(Most, await PassAsync(breaker, 0, Most));
        _clock.Advance(TimeSpan.FromSeconds(seconds));
        Assert.Equal(isOver, await breaker.FindReasonAsync(Name(99), Token) is null);
    }

    [Theory]
    [InlineData(3539, false)]
    [InlineData(3540, true)]
    public async Task Removals_of_another_process_count_from_the_start_of_five_minutes(int seconds, bool isOver)
    {
        // A minute after the beginning of five.
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(Most, await PassAsync(Breaker(), 0, Most));
        _clock.Advance(TimeSpan.FromSeconds(seconds));
        Assert.Equal(isOver, await Breaker().FindReasonAsync(Name(99), Token) is null);
    }

    [Fact]
    public async Task Removals_of_different_minutes_add_up()
    {
        var breaker = Breaker();
        for (var part = 0; part < 5; part++)
        {
            Assert.Equal(10, await PassAsync(breaker, part * 10, 10));
            _clock.Advance(TimeSpan.FromMinutes(11));
        }

        Assert.NotNull(await breaker.FindReasonAsync(Name(99), Token));
        Assert.NotNull(await Breaker().FindReasonAsync(Name(99), Token));
        Assert.Equal(Most, (await RemovalState.ReadAsync(_store, Token)).Removed.Values.Sum());
    }

    [Theory]
    [InlineData(3599, 1, false)]
    [InlineData(3600, 1, true)]
    [InlineData(3600, Most, true)]
    public async Task It_ends_when_an_hour_brought_no_more_than_may_go(int seconds, int asked, bool isOver)
    {
        var breaker = Breaker();
        await PassAsync(breaker, 0, Most);
        Assert.Equal(0, await PassAsync(breaker, 100, 1));
        _clock.Advance(TimeSpan.FromSeconds(seconds - 1));
        Assert.Equal(0, await PassAsync(breaker, 100, asked - 1));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(isOver, await breaker.FindReasonAsync(Name(100 + asked - 1), Token) is null);
        Assert.Equal(isOver, (await RemovalState.ReadAsync(_store, Token)).HeldSince is null);
    }

    [Fact]
    public async Task It_holds_while_one_more_than_may_go_is_asked_for_within_the_hour()
    {
        var breaker = Breaker();
        await PassAsync(breaker, 0, Most);
        for (var quarter = 0; quarter < 9; quarter++)
        {
            Assert.Equal(0, await PassAsync(breaker, 100, Most + 1));
            _clock.Advance(TimeSpan.FromMinutes(15));
        }

        // The first of them asked for last: of the others an hour has brought nothing.
        _clock.Advance(TimeSpan.FromMinutes(45));
        Assert.Null(await breaker.FindReasonAsync(Name(100), Token));
    }

    [Fact]
    public async Task One_that_is_asked_for_again_and_again_counts_once()
    {
        var breaker = Breaker();
        await PassAsync(breaker, 0, Most);
        for (var minute = 0; minute < 60; minute++)
        {
            Assert.NotNull(await breaker.FindReasonAsync(Name(100), Token));
            Assert.NotNull(await breaker.FindReasonAsync(Name(101), Token));
            _clock.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.Null(await breaker.FindReasonAsync(Name(100), Token));
    }

    [Theory]
    [InlineData(59, false)]
    [InlineData(60, true)]
    public async Task The_moment_of_the_last_one_held_back_is_kept_to_the_minute(int seconds, bool isKept)
    {
        var breaker = Breaker();
        await PassAsync(breaker, 0, Most + 1);
        var before = await RemovalState.ReadAsync(_store, Token);
        Assert.Equal((_clock.GetUtcNow(), _clock.GetUtcNow()), (before.HeldSince, before.HeldAt));
        _clock.Advance(TimeSpan.FromSeconds(seconds));
        Assert.Equal(before.Reason, await breaker.FindReasonAsync(Name(99), Token));
        var after = await RemovalState.ReadAsync(_store, Token);
        Assert.Equal((before.HeldSince, isKept ? _clock.GetUtcNow() : before.HeldAt, before.Reason), (after.HeldSince, after.HeldAt, after.Reason));
    }

    [Fact]
    public async Task Accepted_removals_go_on_and_are_counted()
    {
        var breaker = Breaker();
        await PassAsync(breaker, 0, Most);
        await RemovalState.AcceptAsync(_store, _clock.GetUtcNow(), Token);
        Assert.Equal(20, await PassAsync(breaker, 100, 20));
        var state = await RemovalState.ReadAsync(_store, Token);
        Assert.Equal((20, true), (state.Removed.Values.Sum(), state.IsAccepted(_clock.GetUtcNow())));
        _options.AcceptRemovals = true;
        _clock.Advance(TimeSpan.FromDays(2));
        Assert.Equal(Most + 20, await PassAsync(Breaker(), 200, Most + 20));
    }

    [Claim("Two packages that are found gone at the same time cannot both be the last one that may go",
        Red = "`HourlyBreaker` decides without a turn, or lets two decide at once")]
    [Fact]
    public async Task Two_that_are_asked_for_at_once_are_not_both_the_last_that_may_go()
    {
        var goOn = new TaskCompletionSource();
        goOn.SetResult();
        var breaker = Breaker(HookedStore.Over(_store, async (_, isBefore) => await (isBefore ? goOn.Task : Task.CompletedTask), nameof(IMetadataStore.CountAsync)));
        Assert.Equal(Most - 1, await PassAsync(breaker, 0, Most - 1));
        goOn = new TaskCompletionSource();
        var both = new[] { breaker.FindReasonAsync(Name(100), Token), breaker.FindReasonAsync(Name(101), Token) };
        goOn.SetResult();
        Assert.Single(await Task.WhenAll(both), reason => reason is null);
    }

    [Fact]
    public async Task A_two_hundredth_of_the_packages_before_the_hour_may_go()
    {
        var held = 20_000;
        var breaker = Breaker(InterceptedStore.Over(_store, call => call.Method == nameof(IMetadataStore.CountAsync) ? new ValueTask<StoreCounts>(new StoreCounts(held, 0, 0, 0, 0, 0)) : call.Make()));
        for (var i = 0; i < 100; i++)
        {
            Assert.Null(await breaker.FindReasonAsync(Name(i), Token));
            held--;
        }

        Assert.NotNull(await breaker.FindReasonAsync(Name(100), Token));
    }

    [Fact]
    public async Task An_earlier_hold_that_ended_does_not_end_that_of_another_process()
    {
        var breaker = Breaker();
        Assert.Equal(Most, await PassAsync(breaker, 0, Most + 1));
        _clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(1, await PassAsync(breaker, 100, 1));
        Assert.Equal(Most - 1, await PassAsync(Breaker(), 200, Most));
        Assert.Equal(0, await PassAsync(breaker, 300, 1));
    }

    [Claim("A wall clock that leaps does not let more removals pass: each counts for an hour of the process",
        Red = "`HourlyBreaker.CountHere` counts all removals from the first one on")]
    [Fact]
    public async Task Removals_count_an_hour_each_although_the_wall_clock_leaps()
    {
        var breaker = Breaker();
        Assert.Equal(1, await PassAsync(breaker, 0, 1));
        _clock.Advance(TimeSpan.FromMinutes(59));
        Assert.Equal(Most - 1, await PassAsync(breaker, 100, Most - 1));
        _clock.Advance(TimeSpan.FromMinutes(2));
        _clock.SetWallAhead(TimeSpan.FromDays(1));
        Assert.Equal(1, await PassAsync(breaker, 200, 2));
    }

    private HourlyBreaker Breaker(IMetadataStore? store = null)
    {
        _breakers.Add(new HourlyBreaker(store ?? _store, _options, _clock, NullLogger.Instance));
        return _breakers[^1];
    }

    /// <summary>Asks for so many packages; returns how many may go.</summary>
    private static async Task<int> PassAsync(HourlyBreaker breaker, int first, int count)
    {
        var passed = 0;
        for (var i = first; i < first + count; i++)
        {
            passed += await breaker.FindReasonAsync(Name(i), Token) is null ? 1 : 0;
        }

        return passed;
    }

    private static PackageName Name(int number) => PackageName.Parse($"p{number}");
}
