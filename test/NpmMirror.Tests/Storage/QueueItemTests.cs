using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

/// <summary>How two enqueues of one name become one item.</summary>
public sealed class QueueItemTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);

    [Claim("Two enqueues of one name become one item: the newest row of the feed decides, with the earliest times and the most urgent priority",
        With = [nameof(The_earliest_times_and_the_most_urgent_priority_count), nameof(A_document_leaves_a_want_only_below_the_wanted_revision)],
        Red = "each condition of `MergedWith` left out, one at a time")]
    [Theory]
    [InlineData("2-a", false, "3-b", false, "3-b", false)]
    [InlineData("2-a", false, "1-b", true, "2-a", false)]
    [InlineData("2-a", false, "2-b", true, "2-b", true)]
    [InlineData("2-a", true, "3-b", false, "3-b", false)]
    [InlineData("2-a", true, null, false, "2-a", true)]
    [InlineData("2-a", false, null, true, "2-a", true)]
    [InlineData(null, false, null, true, null, true)]
    [InlineData(null, true, null, false, null, true)]
    [InlineData(null, true, "1-a", false, "1-a", false)]
    [InlineData(null, false, "1-a", true, "1-a", true)]
    public void The_newest_row_of_the_feed_decides(string? wanted, bool isDeleted, string? added, bool isAddedDeleted, string? both, bool areBothDeleted)
    {
        var merged = Item(wanted, isDeleted).MergedWith(Item(added, isAddedDeleted));
        Assert.Equal((both, areBothDeleted), (merged.WantedRev, merged.IsDeletedRow));
    }

    [Theory]
    [InlineData(-1, -1)]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    public void The_earliest_times_and_the_most_urgent_priority_count(int hours, int kept)
    {
        var merged = (Item("2-a", false) with { Attempts = 7 }).MergedWith(Item("3-a", false) with { DueAt = Now.AddHours(hours), QueuedAt = Now.AddHours(hours), Priority = QueuePriority.Change + hours });
        Assert.Equal((Now.AddHours(kept), Now.AddHours(kept), QueuePriority.Change + kept, 7), (merged.DueAt, merged.QueuedAt, merged.Priority, merged.Attempts));
    }

    [Theory]
    [InlineData("3-a", "2-b", true)]
    [InlineData("3-a", "3-b", false)]
    [InlineData("3-a", "4-b", false)]
    [InlineData("3-a", null, true)]
    [InlineData(null, "2-b", true)]
    public void A_document_leaves_a_want_only_below_the_wanted_revision(string? wanted, string? done, bool isWanted) =>
        Assert.Equal(isWanted, Item(wanted, false).IsWantedBeyond(done));

    [Fact]
    public void A_new_life_is_due_at_once_and_knows_of_no_try()
    {
        var later = Now.AddHours(5);
        var item = Item("3-a", true) with { Attempts = 7, MissingSince = Now, LastError = "503" };
        Assert.Equal(Item("3-a", true) with { DueAt = later, QueuedAt = later }, item.Renewed(later));
    }

    private static QueueItem Item(string? wanted, bool isDeleted) => new()
    {
        Name = PackageName.Parse("ms"),
        Priority = QueuePriority.Change,
        DueAt = Now,
        QueuedAt = Now,
        WantedRev = wanted,
        IsDeletedRow = isDeleted,
    };
}
