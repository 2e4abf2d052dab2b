using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;

namespace NpmMirror.Tests.Following;

/// <summary>How a stretch before the cursor is read again: a few pages at a time, to the cursor and no further, each row once.</summary>
public sealed class LateWindowTests
{
    private static readonly TrailingWindow Short = new(TimeSpan.FromMinutes(10), TimeSpan.Zero);
    private static readonly TrailingWindow Hourly = new(TimeSpan.FromHours(6), TimeSpan.FromHours(1));

    private readonly FakeClock _clock = new();
    private readonly PagedFeed _feed = new();
    private readonly KeepingHandler _handler = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Ten_pages_are_read_at_a_look_and_the_others_at_the_next()
    {
        var search = await FollowedAsync(100, 125);
        _feed.Add(101, 125);
        foreach (var reads in (int[])[10, 20, 25, 25])
        {
            await search.LookAsync(At(125), Token);
            Assert.Equal(reads, _feed.Reads);
        }

        Assert.Equal(Enumerable.Range(101, 24).Select(number => $"p{number}"), _handler.Handled.Select(row => row.Id));
    }

    [Fact]
    public async Task Rows_after_the_cursor_are_left_to_reading_forward()
    {
        var search = await FollowedAsync(100, 110);
        _feed.PageRows = 100;
        _feed.Add(105, 115);
        await search.LookAsync(At(110), Token);
        Assert.Equal([105, 106, 107, 108, 109], _handler.Handled.Select(row => row.Sequence.Number!.Value));
        Assert.Equal(1, _feed.Reads);
    }

    [Theory]
    [InlineData("stands still")]
    [InlineData("goes back")]
    [InlineData("has no numbers")]
    public async Task A_feed_that_does_not_get_ahead_ends_the_stretch(string how)
    {
        var search = await FollowedAsync(100, 125);
        _feed.Add(101, 125);
        _feed.LastOf = how switch
        {
            "stands still" => _ => At(100),
            "goes back" => _ => At(50),
            _ => _ => new Sequence("none"),
        };
        await search.LookAsync(At(125), Token);
        Assert.Equal(1, _feed.Reads);
        await search.LookAsync(At(125), Token);
        Assert.Equal(1, _feed.Reads);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1000, false)]
    public async Task Where_no_rows_come_late_or_no_window_is_wanted_nothing_is_read_again(long lateSequences, bool hasWindows)
    {
        _feed.LateSequences = lateSequences;
        var search = await FollowedAsync(100, 110, hasWindows ? [Short] : []);
        await search.LookAsync(At(110), Token);
        Assert.Equal(0, _feed.Reads);
    }

    [Fact]
    public async Task The_longest_window_that_is_due_is_read_and_has_the_shorter_ones_in_it()
    {
        var search = await FollowedAsync(100, 110, [Short, Hourly]);
        await search.LookAsync(At(110), Token);
        await search.LookAsync(At(110), Token);
        var begun = _clock.GetUtcNow();
        Assert.Equal((1, begun), (_feed.Reads, LongReadAt()));

        // The short one at each poll, the other when its hour is over.
        _clock.Advance(TimeSpan.FromMinutes(59));
        await NoteAsync(search, 120);
        await search.LookAsync(At(120), Token);
        Assert.Equal((2, begun), (_feed.Reads, LongReadAt()));
        _clock.Advance(TimeSpan.FromMinutes(1));
        await NoteAsync(search, 130);
        await search.LookAsync(At(130), Token);
        Assert.Equal((3, begun + Hourly.Every), (_feed.Reads, LongReadAt()));

        DateTimeOffset? LongReadAt() => FeedTrail.Parse(_handler.Kept[^1]).ReadAgainAt(Hourly.Length);
    }

    [Fact]
    public async Task Late_rows_are_counted_with_the_longest_they_were_late()
    {
        var search = Search([Hourly]);
        foreach (var (number, minutes) in new[] { (100L, 0), (110L, 60), (120L, 60), (130L, 60) })
        {
            _clock.Advance(TimeSpan.FromMinutes(minutes));
            await NoteAsync(search, number);
        }

        _feed.PageRows = 100;
        _feed.Add(115, 115);
        _feed.Add(105, 105);
        _feed.Add(125, 125);
        await search.LookAsync(At(130), Token);
        var state = FeedTrail.Parse(_handler.Kept[^1]).State;
        Assert.Equal((3, TimeSpan.FromHours(2), _clock.GetUtcNow()), (state.LateRows, state.LongestLate, state.LastLateAt));
    }

    [Fact]
    public async Task Rows_that_bring_nothing_new_are_not_counted_as_late()
    {
        _handler.IsNews = false;
        var search = await FollowedAsync(100, 110);
        _feed.Add(105, 105);
        await search.LookAsync(At(110), Token);
        Assert.Single(_handler.Handled);
        Assert.All(_handler.Kept, kept => Assert.Equal(0, FeedTrail.Parse(kept).State.LateRows));
    }

    [Fact]
    public async Task The_trail_is_kept_once_a_minute()
    {
        var search = Search([Short]);
        foreach (var (seconds, kept) in new[] { (0, 1), (30, 1), (29, 1), (1, 2), (59, 2), (1, 3) })
        {
            _clock.Advance(TimeSpan.FromSeconds(seconds));
            await NoteAsync(search, 100);
            Assert.Equal(kept, _handler.Kept.Count);
        }
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task Only_a_page_at_the_head_is_noted_as_standing_there(bool isAtHead, bool isNoted)
    {
        var search = Search([Short]);
        await search.NoteAsync(new ChangesPage([], At(100), isAtHead), Token);
        var state = FeedTrail.Parse(_handler.Kept[^1]).State;
        Assert.Equal((isNoted ? _clock.GetUtcNow() : null, isNoted ? "100" : null), (state.AtHeadAt, state.Head));
    }

    [Theory]
    [InlineData(false, 1000, 1)]
    [InlineData(true, 0, 1)]
    [InlineData(false, 0, 2)]
    public async Task After_a_reset_rows_with_a_receipt_are_not_handled_again(bool keepsReceipts, long lateSequences, int handled)
    {
        _feed.LateSequences = lateSequences;
        var search = Search([Short], keepsReceipts);
        await search.NoteAsync(new ChangesPage([Row(100)], At(100), IsAtHead: true), Token);
        await search.BeginAnewAsync(new ChangesPage([Row(100), Row(3)], At(4), IsAtHead: true), Token);
        Assert.Equal(handled, _handler.Handled.Count);
        Assert.Equal("p3", _handler.Handled[^1].Id);
        // Marks of the old numbers are forgotten.
        Assert.Empty(FeedTrail.Parse(_handler.Kept[^1]).Cursor.Marks);
    }

    /// <summary>A search whose follower stood at the first sequence, and an hour later stands at the second.</summary>
    private async Task<LateRowSearch> FollowedAsync(long first, long second, IReadOnlyList<TrailingWindow>? windows = null)
    {
        var search = Search(windows ?? [Short]);
        await NoteAsync(search, first);
        _clock.Advance(TimeSpan.FromHours(1));
        await NoteAsync(search, second);
        return search;
    }

    private static ValueTask NoteAsync(LateRowSearch search, long number) => search.NoteAsync(new ChangesPage([Row(number)], At(number), IsAtHead: true), Token);

    private LateRowSearch Search(IReadOnlyList<TrailingWindow> windows, bool keepsReceipts = false) =>
        new(_feed, _handler, windows, (_, _) => ValueTask.CompletedTask, new FollowingMetrics(NpmMirror.Diagnostics.Telemetry.Unread), _clock, NullLogger.Instance) { KeepsReceipts = keepsReceipts };

    private static Sequence At(long number) => PagedFeed.At(number);

    private static ChangeRow Row(long number) => PagedFeed.Row(number);
}
