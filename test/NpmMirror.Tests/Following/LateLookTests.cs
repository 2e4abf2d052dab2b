using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Diagnostics;
using NpmMirror.Feeds;
using NpmMirror.Following;

namespace NpmMirror.Tests.Following;

/// <summary>When the search for late rows looks and when it does not, after trouble, a reset, or a clock that was set back; and what it keeps and counts.</summary>
public sealed class LateLookTests
{
    private static readonly TrailingWindow Short = new(TimeSpan.FromMinutes(10), TimeSpan.Zero);
    private static readonly TrailingWindow Hourly = new(TimeSpan.FromHours(6), TimeSpan.FromHours(1));

    private readonly FakeClock _clock = new();
    private readonly PagedFeed _feed = new();
    private KeepingHandler _handler = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("Trouble with late rows is tried again after a minute, after twice as long each time, and after an hour at most; a success begins anew",
        With = [nameof(Trouble_is_left_alone_as_long_as_the_upstream_says)],
        Red = "`LateRowSearch` does not reset its back-off, or it begins with two minutes")]
    [Fact]
    public async Task After_trouble_it_looks_again_in_a_minute_and_in_an_hour_at_most()
    {
        var search = await FollowedAsync(100, 110);
        _feed.Trouble = new MirrorException(MirrorFault.UpstreamUnavailable, "Away.", isTransient: true);
        Assert.True(await LooksAfterAsync(TimeSpan.Zero));
        Assert.False(await LooksAfterAsync(TimeSpan.FromSeconds(59)));
        Assert.True(await LooksAfterAsync(TimeSpan.FromSeconds(31)));
        for (var failures = 0; failures < 10; failures++)
        {
            Assert.True(await LooksAfterAsync(TimeSpan.FromHours(1)));
        }

        Assert.False(await LooksAfterAsync(TimeSpan.FromMinutes(59)));
        _feed.Trouble = null;
        Assert.True(await LooksAfterAsync(TimeSpan.FromMinutes(1)));
        _feed.Trouble = new MirrorException(MirrorFault.UpstreamUnavailable, "Away.", isTransient: true);
        Assert.True(await LooksAfterAsync(TimeSpan.FromMinutes(1)));
        Assert.True(await LooksAfterAsync(TimeSpan.FromSeconds(90)));

        async Task<bool> LooksAfterAsync(TimeSpan wait)
        {
            _clock.Advance(wait);
            var before = _feed.Reads;
            await search.LookAsync(At(110), Token);
            return _feed.Reads > before;
        }
    }

    [Theory]
    [InlineData(29, 1)]
    [InlineData(30, 2)]
    public async Task Trouble_is_left_alone_as_long_as_the_upstream_says(int minutes, int reads)
    {
        var search = await FollowedAsync(100, 110);
        _feed.Trouble = new MirrorException(MirrorFault.UpstreamBusy, "Busy.", isTransient: true, retryAfter: TimeSpan.FromMinutes(30));
        await search.LookAsync(At(110), Token);
        _clock.Advance(TimeSpan.FromMinutes(minutes));
        await search.LookAsync(At(110), Token);
        Assert.Equal(reads, _feed.Reads);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    public async Task A_trail_that_was_kept_is_read_again_only_where_rows_come_late(long lateSequences, int reads)
    {
        await FollowedAsync(100, 110);
        _handler = new KeepingHandler { Earlier = _handler.Kept[^1] };
        _feed.LateSequences = lateSequences;
        var search = Search([Short]);

        // Before the first page nothing is known of the place.
        await search.LookAsync(At(110), Token);
        Assert.Equal(0, _feed.Reads);
        _clock.Advance(TimeSpan.FromHours(1));
        await NoteAsync(search, 120);
        await search.LookAsync(At(120), Token);
        Assert.Equal(reads, _feed.Reads);
    }

    [Fact]
    public async Task After_a_reset_the_stretch_under_way_is_not_read_on()
    {
        var search = await FollowedAsync(100, 125);
        _feed.Add(101, 125);
        await search.LookAsync(At(125), Token);
        Assert.Equal(10, _feed.Reads);
        await search.BeginAnewAsync(new ChangesPage([], At(4), IsAtHead: true), Token);
        await search.LookAsync(At(4), Token);
        Assert.Equal(10, _feed.Reads);
    }

    [Claim("A clock that is set back neither stops the search for late rows nor makes its stretch shorter",
        With = [nameof(A_stretch_is_no_shorter_after_the_clock_was_set_back)],
        Red = "`FindDue` or `BeginOf` believes a time that is yet to come")]
    [Fact]
    public async Task A_window_that_a_clock_ahead_has_read_is_read_again()
    {
        var search = await FollowedAsync(100, 110);
        await search.LookAsync(At(110), Token);
        _clock.SetWallAhead(TimeSpan.FromHours(-2));
        await NoteAsync(search, 120);
        await search.LookAsync(At(120), Token);
        Assert.Equal(2, _feed.Reads);
    }

    [Fact]
    public async Task A_stretch_is_no_shorter_after_the_clock_was_set_back()
    {
        var search = Search([Short]);
        foreach (var (number, minutes) in new[] { (100L, 0), (105L, 5), (110L, 15) })
        {
            _clock.Advance(TimeSpan.FromMinutes(minutes));
            await NoteAsync(search, number);
        }

        await search.LookAsync(At(110), Token);
        _clock.SetWallAhead(TimeSpan.FromMinutes(-6));
        await NoteAsync(search, 120);
        await search.LookAsync(At(120), Token);
        Assert.Equal(100, _feed.Since[^1]);
    }

    [Fact]
    public async Task Where_the_cursor_has_not_moved_the_window_counts_as_read()
    {
        var search = await FollowedAsync(100, 100, [Hourly]);
        await search.LookAsync(At(100), Token);
        Assert.Equal(0, _feed.Reads);
        _clock.Advance(TimeSpan.FromMinutes(10));
        await NoteAsync(search, 120);
        await search.LookAsync(At(120), Token);
        Assert.Equal(0, _feed.Reads);
        _clock.Advance(TimeSpan.FromMinutes(50));
        await search.LookAsync(At(120), Token);
        Assert.Equal(1, _feed.Reads);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_look_at_each_poll_writes_the_trail_only_if_it_found_something(bool isFound)
    {
        var search = await FollowedAsync(100, 110);
        if (isFound)
        {
            _feed.Add(105, 105);
        }

        var kept = _handler.Kept.Count;
        await search.LookAsync(At(110), Token);
        Assert.Equal(kept + (isFound ? 1 : 0), _handler.Kept.Count);
        Assert.Equal(isFound ? 1 : 0, FeedTrail.Parse(_handler.Kept[^1]).State.LateRows);
    }

    [Fact]
    public async Task A_page_whose_rows_are_all_known_is_not_handed_over()
    {
        var search = await FollowedAsync(100, 110);
        _feed.Add(110, 110);
        await search.LookAsync(At(110), Token);
        Assert.Equal((1, 0), (_feed.Reads, _handler.HandOvers));
    }

    [Fact]
    public async Task Rows_that_cannot_be_read_are_not_told_again_each_time()
    {
        var search = await FollowedAsync(100, 110);
        _feed.Add(105, 105);
        _feed.Skipped = ["{"];
        await search.LookAsync(At(110), Token);
        Assert.Equal((1, 0), (_handler.Handled.Count, _handler.SkippedCount));
    }

    [Fact]
    public async Task The_rows_of_a_page_are_kept_as_landmarks()
    {
        await NoteAsync(Search([]), 100);
        Assert.Contains(FeedTrail.Parse(_handler.Kept[^1]).Landmarks.All, mark => (mark.Number, mark.Id) == (100, "p100"));
    }

    [Fact]
    public async Task Rows_read_again_late_rows_and_the_distance_to_the_head_are_measured()
    {
        using var meter = new Meter("late");
        var measured = new List<(string, long)>();
        using var listener = new MeterListener { InstrumentPublished = (instrument, it) =>
        {
            if (instrument.Meter == meter)
            {
                it.EnableMeasurementEvents(instrument);
            }
        } };
        listener.SetMeasurementEventCallback<long>((instrument, count, _, _) => measured.Add((instrument.Name, count)));
        listener.Start();
        var search = await FollowedAsync(100, 110, meter: meter);
        measured.Clear();

        _feed.PageRows = 100;
        _feed.Add(103, 105);
        await search.LookAsync(At(110), Token);
        Assert.Equal([("npm_mirror.feed.rows_read_again", 3), ("npm_mirror.feed.late_rows", 3)], measured);
        measured.Clear();
        await search.NoteHeadAsync(At(150), At(110), Token);
        await search.NoteHeadAsync(At(100), At(110), Token);
        Assert.Equal([("npm_mirror.feed.lag_sequences", 40), ("npm_mirror.feed.lag_sequences", 0)], measured);

        // For `status` too.
        _clock.Advance(TimeSpan.FromMinutes(1));
        await search.NoteHeadAsync(At(160), At(110), Token);
        await search.NoteAsync(new ChangesPage([], At(120), IsAtHead: false), Token);
        Assert.Equal("160", FeedTrail.Parse(_handler.Kept[^1]).State.Head);
    }

    /// <summary>A search whose follower stood at the first sequence, and an hour later stands at the second.</summary>
    private async Task<LateRowSearch> FollowedAsync(long first, long second, IReadOnlyList<TrailingWindow>? windows = null, Meter? meter = null)
    {
        var search = Search(windows ?? [Short], meter);
        await NoteAsync(search, first);
        _clock.Advance(TimeSpan.FromHours(1));
        await NoteAsync(search, second);
        return search;
    }

    private static ValueTask NoteAsync(LateRowSearch search, long number) => search.NoteAsync(new ChangesPage([PagedFeed.Row(number)], At(number), IsAtHead: true), Token);

    private LateRowSearch Search(IReadOnlyList<TrailingWindow> windows, Meter? meter = null) =>
        new(_feed, _handler, windows, (_, _) => ValueTask.CompletedTask, new FollowingMetrics(meter ?? Telemetry.Unread), _clock, NullLogger.Instance);

    private static Sequence At(long number) => PagedFeed.At(number);
}
