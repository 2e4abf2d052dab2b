using NpmMirror.Feeds;
using NpmMirror.Following;

namespace NpmMirror.Tests.Following;

public sealed class RowReceiptsTests
{
    private static readonly ChangeRow Row = new(new Sequence("1"), "a", "1-x", false);

    [Claim("Handled rows are recognised by id, rev and deletion, at least the newest; a window that is not due is not read again",
        With =
        [
            nameof(The_newest_are_known_and_the_oldest_are_forgotten),
            $"{nameof(LateRowSearchTests)}.{nameof(LateRowSearchTests.A_stretch_that_is_not_due_is_not_read)}",
        ],
        Red = "`RowReceipts` leaves the rev out of its key: the first was red; it forgets the older half at once, or nothing ever: the second; `LateRowSearch.FindDue` does not look when a window was read last: the last")]
    [Fact]
    public void The_same_change_at_another_place_is_known_and_no_other_change_is()
    {
        var receipts = new RowReceipts();
        Assert.False(receipts.Has(Row));
        receipts.Add(Row);
        Assert.True(receipts.Has(Row with { Sequence = new Sequence("2") }));
        ChangeRow[] others = [Row with { Id = "b" }, Row with { Rev = "1-y" }, Row with { Rev = null }, Row with { IsDeleted = true }];
        Assert.All(others, other => Assert.False(receipts.Has(other)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(100)]
    public void The_newest_are_known_and_the_oldest_are_forgotten(int generation)
    {
        var receipts = new RowReceipts(generation);
        for (var i = 0; i < 10 * generation; i++)
        {
            receipts.Add(Row with { Id = $"p{i}" });
            Assert.True(receipts.Has(Row with { Id = $"p{i}" }));
            Assert.True(receipts.Has(Row with { Id = $"p{Math.Max(0, i - generation + 1)}" }));
            Assert.False(i >= 2 * generation && receipts.Has(Row with { Id = $"p{i - (2 * generation)}" }));
        }
    }
}
