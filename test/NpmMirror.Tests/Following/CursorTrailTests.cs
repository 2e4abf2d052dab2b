using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Tests.Packuments;

namespace NpmMirror.Tests.Following;

public sealed class CursorTrailTests(ITestOutputHelper output)
{
    private static readonly DateTimeOffset Start = new(2026, 11, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Day = TimeSpan.FromHours(24);

    [Claim("A follower's trail is small, and names stretches never shorter than asked for",
        With = [nameof(Is_the_same_after_it_was_kept), nameof(Receipts_are_kept_for_the_promised_rows_and_at_most_twice_as_many)],
        Red = "`CursorTrail.StoodAt` takes the mark after the moment, or `Note` thins nothing out: the first was red; the windows' times are not kept: the second; `RowReceipts` forgets the older generation at once, or never: the last")]
    [Fact]
    public void Names_a_stretch_hardly_longer_than_asked_for_and_stays_small()
    {
        var random = new Random(FuzzSeed.Next(output));
        var trail = new CursorTrail([]);
        var now = Start;
        while (now - Start < TimeSpan.FromDays(4))
        {
            now += TimeSpan.FromSeconds(random.Next(1, 40));
            trail.Note(now, At(now), now - Day);
            var age = Day * random.NextDouble();
            if (now - Start > age + TimeSpan.FromHours(2))
            {
                var from = Start + TimeSpan.FromSeconds(trail.StoodAt(now - age)!.Value.Number!.Value);
                Assert.InRange(now - from, age, (age * 1.2) + TimeSpan.FromMinutes(2));
            }
        }

        Assert.InRange(trail.Marks.Count, 20, 250);
    }

    [Fact]
    public void A_mark_is_the_moment_at_which_its_own_sequence_was_passed()
    {
        var trail = new CursorTrail([new TrailMark(Start, new Sequence("10")), new TrailMark(Start + Day, new Sequence("20"))]);
        Assert.Equal(Start, trail.PassedAt(9));
        Assert.Equal(Start, trail.PassedAt(10));
        Assert.Equal(Start + Day, trail.PassedAt(11));
        Assert.Equal(Start + Day, trail.PassedAt(20));
        Assert.Null(trail.PassedAt(21));
        Assert.Equal(["10", "10", "20", "20"], new[] { Start - Day, Start, Start + Day, Start + Day + Day }.Select(moment => trail.StoodAt(moment)!.Value.Text));
        Assert.Equal("10", trail.StoodAt(Start + Day - TimeSpan.FromTicks(1))!.Value.Text);
        Assert.Null(new CursorTrail([]).StoodAt(Start));
    }

    [Theory]
    [InlineData(400 * 24)]
    [InlineData(1)]
    public void Goes_back_no_further_than_asked_once_a_clock_that_was_ahead_is_right(int hoursAhead)
    {
        var trail = new CursorTrail([]);
        var now = Start;
        var ahead = TimeSpan.Zero;
        for (var minute = 0; minute < 3_000; minute++)
        {
            // Right for a day, ahead for half an hour, right again.
            ahead = minute is >= 1_440 and < 1_470 ? TimeSpan.FromHours(hoursAhead) : TimeSpan.Zero;
            now += TimeSpan.FromMinutes(1);
            trail.Note(now + ahead, At(now), now + ahead - Day);
        }

        foreach (var age in new[] { TimeSpan.FromMinutes(10), TimeSpan.FromHours(6), Day })
        {
            Assert.InRange(now - (Start + TimeSpan.FromSeconds(trail.StoodAt(now - age)!.Value.Number!.Value)), age, (age * 1.2) + TimeSpan.FromMinutes(35));
        }

        Assert.InRange(trail.Marks.Count, 20, 250);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    [InlineData(59, 2)]
    [InlineData(60, 2)]
    [InlineData(61, 3)]
    [InlineData(62, 3)]
    public void Moves_within_a_minute_share_a_mark_and_the_newest_is_there(int seconds, int marks)
    {
        var trail = new CursorTrail([]);
        for (var second = 0; second < seconds; second++)
        {
            trail.Note(Start.AddSeconds(second), new Sequence($"{second}"), Start - Day);
        }

        Assert.Equal(marks, trail.Marks.Count);
        Assert.Equal(("0", $"{seconds - 1}"), (trail.Marks[0].Sequence.Text, trail.Marks[^1].Sequence.Text));
    }

    [Theory]
    [InlineData(0, 3)]
    [InlineData(1, 2)]
    public void The_oldest_mark_goes_when_the_next_is_as_old_as_needed(int ticksAfterSecond, int marks)
    {
        var trail = new CursorTrail([new TrailMark(Start, new Sequence("1")), new TrailMark(Start.AddHours(1), new Sequence("2"))]);
        trail.Note(Start.AddHours(2), new Sequence("3"), Start.AddHours(1).AddTicks(ticksAfterSecond - 1));
        Assert.Equal(marks, trail.Marks.Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Every_mark_of_a_clock_that_was_ahead_is_set_to_now(int ahead)
    {
        var now = Start.AddHours(3);
        var trail = new CursorTrail([.. Enumerable.Range(0, 3).Select(i => new TrailMark(i < 3 - ahead ? Start.AddHours(i) : Start.AddDays(i + 1), new Sequence($"{i}")))]);
        trail.Note(now, new Sequence("3"), Start);
        Assert.All(trail.Marks, mark => Assert.InRange(mark.At, Start, now));
        Assert.Equal(3 - ahead, trail.Marks.Count(mark => mark.At < now));
        Assert.Equal(now, trail.PassedAt(3 - ahead));
    }

    [Fact]
    public void A_single_mark_is_left_when_it_is_as_old_as_needed()
    {
        var trail = new CursorTrail([new TrailMark(Start, new Sequence("1"))]);
        trail.Note(Start.AddHours(2), new Sequence("2"), Start.AddHours(2));
        Assert.Equal("2", Assert.Single(trail.Marks).Sequence.Text);
    }

    [Fact]
    public void Of_marks_that_were_kept_only_the_newest_thousand_are_read()
    {
        var trail = new CursorTrail(Enumerable.Range(0, 1_500).Reverse().Select(minute => new TrailMark(Start.AddMinutes(minute), new Sequence($"{minute}"))));
        Assert.Equal((1_000, "500", "1499"), (trail.Marks.Count, trail.Marks[0].Sequence.Text, trail.Marks[^1].Sequence.Text));
    }

    [Fact]
    public void Is_the_same_after_it_was_kept()
    {
        var trail = FeedTrail.Parse(null);
        trail.Cursor.Note(Start, new Sequence("12-g1AAA\"ä"), Start - Day);
        trail.NoteReadAgain(Day, Start);
        trail.NoteLate(3, TimeSpan.FromHours(2), Start);
        trail.NoteLate(1, TimeSpan.FromHours(1), Start + Day);
        var again = FeedTrail.Parse(trail.ToText());
        Assert.Equal(trail.Cursor.Marks, again.Cursor.Marks);
        Assert.Equal(Start, again.ReadAgainAt(Day));
        Assert.Equal(new FollowingState { LateRows = 4, LastLateAt = Start + Day, LongestLate = TimeSpan.FromHours(2) }, again.State);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    public void Begins_anew_where_nothing_readable_was_kept(string? text) => Assert.Null(FeedTrail.Parse(text).Cursor.StoodAt(Start));

    [Fact]
    public void Receipts_are_kept_for_the_promised_rows_and_at_most_twice_as_many()
    {
        var receipts = new RowReceipts(generationMax: 100);
        for (var i = 0; i < 1_000; i++)
        {
            receipts.Add(Row(i));
            Assert.All(Enumerable.Range(Math.Max(0, i - 99), Math.Min(i, 99) + 1), known => Assert.True(receipts.Has(Row(known))));
        }

        Assert.InRange(Enumerable.Range(0, 1_000).Count(i => receipts.Has(Row(i))), 100, 200);
        Assert.False(receipts.Has(Row(999) with { IsDeleted = true }));
        Assert.False(receipts.Has(Row(999) with { Rev = "2-a" }));
        Assert.True(receipts.Has(Row(999) with { Sequence = new Sequence("7") }));
    }

    private static ChangeRow Row(int i) => new(new Sequence($"{i}"), $"p{i}", "1-a", false);

    private static Sequence At(DateTimeOffset moment) => new($"{(long)(moment - Start).TotalSeconds}");
}
