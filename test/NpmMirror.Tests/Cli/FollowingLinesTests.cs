using NpmMirror.Cli;
using NpmMirror.Following;

namespace NpmMirror.Tests.Cli;

public sealed class FollowingLinesTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 8, 0, 0, TimeSpan.Zero);

    [Claim("`status` tells a follower that waits from one that lags, and times in words",
        With = [nameof(Tells_how_late_rows_came_in_words), nameof(A_time_is_told_in_its_two_largest_units)],
        Red = "`FollowingLines` does not look at how far it lags: the first was red")]
    [Theory]
    [InlineData("582", 12, "at the head 582, last told 12 s ago (2026-11-22 07:59:48Z)")]
    [InlineData("582", 12_000, "at the head 582, last told 3 h 20 min ago (2026-11-22 04:40:00Z): nothing has changed since then, or the mirror does not run")]
    [InlineData("584", 12, "at the head 584, last told 12 s ago (2026-11-22 07:59:48Z)")]
    [InlineData("580", 12, "2 sequences before the head 582; last at a head 12 s ago (2026-11-22 07:59:48Z)")]
    [InlineData("582", -5, "at the head 582, last told 0 s ago (2026-11-22 08:00:05Z)")]
    public void Tells_a_mirror_that_waits_from_one_that_lags(string handled, int secondsAgo, string line) =>
        Assert.Equal(line, FollowingLines.Following(new FollowingState { Head = "582", AtHeadAt = Now - TimeSpan.FromSeconds(secondsAgo) }, handled, Now));

    [Fact]
    public void Sequences_that_are_no_numbers_are_not_counted() =>
        Assert.StartsWith("at the head 582-g1AAAA, ", FollowingLines.Following(new FollowingState { Head = "582-g1AAAA", AtHeadAt = Now }, "12-g1", Now), StringComparison.Ordinal);

    [Fact]
    public void Says_nothing_where_nothing_is_known() => Assert.Equal((null, null), (FollowingLines.Following(new FollowingState(), null, Now), FollowingLines.LateRows(new FollowingState(), Now)));

    [Fact]
    public void Tells_how_late_rows_came_in_words() =>
        Assert.Equal(
            "3, the last found 1 h 5 min ago (2026-11-22 06:55:00Z), at most 2 min 4 s late",
            FollowingLines.LateRows(new FollowingState { LateRows = 3, LastLateAt = Now - TimeSpan.FromMinutes(65), LongestLate = TimeSpan.FromSeconds(124) }, Now));

    [Theory]
    [InlineData(0, "0 s")]
    [InlineData(59, "59 s")]
    [InlineData(61, "1 min 1 s")]
    [InlineData(3_600, "1 h")]
    [InlineData(90_061, "1 d 1 h")]
    public void A_time_is_told_in_its_two_largest_units(int seconds, string text) => Assert.Equal(text, Amounts.Duration(TimeSpan.FromSeconds(seconds)));
}
