using NpmMirror.Removals;

namespace NpmMirror.Tests.Removals;

public sealed class RemovalStateTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);

    [Claim("An operator's acceptance of removals counts for a day",
        Red = "`RemovalState.IsAccepted` does not look at the end, or believes one that is further away than a day")]
    [Theory]
    [InlineData(-1, false)]
    [InlineData(0, false)]
    [InlineData(1, true)]
    [InlineData(24, true)]
    [InlineData(25, false)]
    public void An_operators_word_counts_for_a_day_and_no_longer(int hoursLeft, bool isAccepted) =>
        Assert.Equal(isAccepted, new RemovalState { AcceptedUntil = Now.AddHours(hoursLeft) }.IsAccepted(Now));

    [Fact]
    public void Without_an_operators_word_nothing_is_accepted() => Assert.False(new RemovalState().IsAccepted(Now));

    [Theory]
    [InlineData(0, true)]
    [InlineData(59, true)]
    [InlineData(60, false)]
    [InlineData(-59, true)]
    [InlineData(-60, false)]
    public void Removals_are_held_for_an_hour_after_the_last_that_was(int minutesAgo, bool isHeld)
    {
        Assert.Equal(isHeld, new RemovalState { HeldSince = Now.AddDays(-1), HeldAt = Now.AddMinutes(-minutesAgo) }.IsHeld(Now));
        Assert.False(new RemovalState { HeldAt = Now.AddMinutes(-minutesAgo) }.IsHeld(Now));
        Assert.False(new RemovalState { HeldSince = Now }.IsHeld(Now));
    }
}
