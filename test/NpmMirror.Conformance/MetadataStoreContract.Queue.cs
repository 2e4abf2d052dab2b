using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

public abstract partial class MetadataStoreContract
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Queues_nothing_at_first()
    {
        Assert.Empty(await Store.Queue.TakeAsync(10, Minute, Cancellation));
        Assert.Null(await Store.Queue.TakeAsync(Name("a"), Minute, Cancellation));
        Assert.Null(await Store.Queue.FindQueuedAsync(Name("a"), Cancellation));
        Assert.Null(await Store.Queue.NextDueAsync(Cancellation));
        Assert.Empty(await AllAsync(Store.Queue.ListQueuedAsync(Cancellation)));
    }

    [Fact]
    public async Task Gives_back_a_queued_item()
    {
        var item = Item("@types/node") with
        {
            Priority = QueuePriority.Bulk,
            DueAt = Clock.GetUtcNow().AddMinutes(-1),
            WantedRev = "12-abc",
            IsDeletedRow = true,
            Attempts = 3,
            MissingSince = Clock.GetUtcNow().AddHours(-1),
            LastError = "503 from the upstream",
        };
        await Store.Queue.EnqueueAsync([item], null, Cancellation);
        Assert.Equal(item, await Store.Queue.FindQueuedAsync(item.Name, Cancellation));
        Assert.Equal([item], await AllAsync(Store.Queue.ListQueuedAsync(Cancellation)));
        Assert.Equal(item, Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation)).Item);
    }

    [Fact]
    public async Task Merges_items_of_one_name()
    {
        var now = Clock.GetUtcNow();
        var first = Item("a") with { WantedRev = "9-x", DueAt = now.AddMinutes(5), Priority = QueuePriority.Bulk, Attempts = 2, LastError = "x", MissingSince = now };
        await Store.Queue.EnqueueAsync([first], null, Cancellation);
        await Store.Queue.EnqueueAsync([Item("a") with { WantedRev = "10-y", DueAt = now.AddMinutes(9), QueuedAt = now.AddMinutes(1), IsDeletedRow = true, Priority = QueuePriority.Change }], null, Cancellation);
        var merged = first with { WantedRev = "10-y", IsDeletedRow = true, Priority = QueuePriority.Change };
        Assert.Equal(merged, await Store.Queue.FindQueuedAsync(Name("a"), Cancellation));

        // An older row, read again, takes nothing back; an enqueue without a row only makes it urgent.
        await Store.Queue.EnqueueAsync([Item("a") with { WantedRev = "8-w", DueAt = now.AddMinutes(2) }, Item("a") with { DueAt = now.AddMinutes(2), Priority = QueuePriority.ReadThrough }], null, Cancellation);
        merged = merged with { DueAt = now.AddMinutes(2), Priority = QueuePriority.ReadThrough };
        Assert.Equal(merged, await Store.Queue.FindQueuedAsync(Name("a"), Cancellation));

        // The newest row says that it is back.
        await Store.Queue.EnqueueAsync([Item("a") with { WantedRev = "11-z", DueAt = now.AddMinutes(3) }], null, Cancellation);
        Assert.Equal(merged with { WantedRev = "11-z", IsDeletedRow = false }, await Store.Queue.FindQueuedAsync(Name("a"), Cancellation));
        Assert.Equal(1, (await Store.CountAsync(Cancellation)).Queued);
    }

    [Fact]
    public async Task Moves_the_cursor_with_the_items()
    {
        await Store.Queue.EnqueueAsync([Item("a")], new QueueCursor("read", "7"), Cancellation);
        Assert.Equal("7", await Store.Notes.FindNoteAsync("read", Cancellation));
        await Store.Queue.EnqueueAsync([], new QueueCursor("read", "8"), Cancellation);
        Assert.Equal("8", await Store.Notes.FindNoteAsync("read", Cancellation));
        await Store.Queue.EnqueueAsync([Item("b")], null, Cancellation);
        Assert.Equal("8", await Store.Notes.FindNoteAsync("read", Cancellation));
    }

    [Fact]
    public async Task Moves_no_cursor_when_items_cannot_all_be_queued()
    {
        // More than any engine writes at once, and the last one breaks.
        QueueItem[] items = [.. Enumerable.Range(0, 2500).Select(i => Item($"p{i:d5}")), null!];
        await Assert.ThrowsAnyAsync<Exception>(async () => await Store.Queue.EnqueueAsync(items, new QueueCursor("walk", "end"), Cancellation));
        Assert.Null(await Store.Notes.FindNoteAsync("walk", Cancellation));
    }

    [Fact]
    public async Task Queues_a_whole_registry()
    {
        await Store.Queue.EnqueueAsync([.. Enumerable.Range(0, 5000).Select(i => Item($"p{i:d5}"))], new QueueCursor("walk", "end"), Cancellation);
        Assert.Equal(5000, (await Store.CountAsync(Cancellation)).Queued);
        Assert.Equal("end", await Store.Notes.FindNoteAsync("walk", Cancellation));
        Assert.Equal(Enumerable.Range(0, 5000).Select(i => $"p{i:d5}"), (await AllAsync(Store.Queue.ListQueuedAsync(Cancellation))).Select(item => item.Name.Value));
    }

    [Fact]
    public async Task Gives_out_the_most_urgent_then_the_earliest_due()
    {
        var now = Clock.GetUtcNow();
        await Store.Queue.EnqueueAsync(
            [
                Item("bulk") with { Priority = QueuePriority.Bulk, DueAt = now.AddHours(-2) },
                Item("late") with { DueAt = now.AddHours(-1) },
                Item("early") with { DueAt = now.AddHours(-2) },
                Item("client") with { Priority = QueuePriority.ReadThrough },
                Item("demanded") with { Priority = QueuePriority.Demand },
                Item("not-due") with { Priority = QueuePriority.ReadThrough, DueAt = now.AddSeconds(1) },
            ],
            null,
            Cancellation);
        Assert.Equal(["demanded", "client", "early"], await TakeNamesAsync(3));
        Assert.Equal(["late", "bulk"], await TakeNamesAsync(10));
        Assert.Empty(await TakeNamesAsync(10));
        Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["not-due"], await TakeNamesAsync(10));
    }

    [Fact]
    public async Task Gives_an_item_to_one_taker_only()
    {
        await Store.Queue.EnqueueAsync([.. Enumerable.Range(0, 200).Select(i => Item($"p{i}"))], null, Cancellation);
        var taken = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Store.Queue.TakeAsync(50, Minute, Cancellation).AsTask())));
        var names = taken.SelectMany(leases => leases).Select(lease => lease.Item.Name.Value).ToList();
        Assert.Equal(200, names.Count);
        Assert.Equal(200, names.Distinct().Count());
    }

    [Fact]
    public async Task Gives_out_again_an_item_not_finished_in_time()
    {
        await Store.Queue.EnqueueAsync([Item("a")], null, Cancellation);
        var lost = Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        Clock.Advance(Minute);
        var lease = Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        Assert.NotEqual(lost.Token, lease.Token);

        Assert.False(await Store.Queue.RenewAsync(lost, Minute, Cancellation));
        Assert.False(await Store.Queue.CompleteAsync(lost, null, Cancellation));
        Assert.False(await Store.Queue.PostponeAsync(lost, new QueuePostponement(Clock.GetUtcNow(), "x", null), Cancellation));
        Assert.NotNull(await Store.Queue.FindQueuedAsync(Name("a"), Cancellation));
        Assert.True(await Store.Queue.CompleteAsync(lease, null, Cancellation));
        Assert.Null(await Store.Queue.FindQueuedAsync(Name("a"), Cancellation));
        Assert.False(await Store.Queue.CompleteAsync(lease, null, Cancellation));
    }

    [Fact]
    public async Task Extends_a_lease()
    {
        await Store.Queue.EnqueueAsync([Item("a")], null, Cancellation);
        var lease = Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(50));
        Assert.True(await Store.Queue.RenewAsync(lease, Minute, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(50));
        Assert.Empty(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
    }

    [Fact]
    public async Task Takes_by_name_whether_due_or_not()
    {
        await Store.Queue.EnqueueAsync([Item("a") with { DueAt = Clock.GetUtcNow().AddMinutes(5) }], null, Cancellation);
        var lease = await Store.Queue.TakeAsync(Name("a"), Minute, Cancellation);
        Assert.NotNull(lease);
        Assert.Null(await Store.Queue.TakeAsync(Name("a"), Minute, Cancellation));
        Assert.Null(await Store.Queue.TakeAsync(Name("A"), Minute, Cancellation));
        Clock.Advance(Minute);
        Assert.NotNull(await Store.Queue.TakeAsync(Name("a"), Minute, Cancellation));
    }

    [Fact]
    public async Task Merging_takes_no_lease_away()
    {
        await Store.Queue.EnqueueAsync([Item("a")], null, Cancellation);
        var lease = Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        await Store.Queue.EnqueueAsync([Item("a") with { WantedRev = "2-x" }], null, Cancellation);
        Assert.Empty(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        Assert.True(await Store.Queue.RenewAsync(lease, Minute, Cancellation));
    }

    [Theory]
    [InlineData("5-x", "5-x", "5-y", false)]
    [InlineData("5-x", "4-x", "5-y", false)]
    [InlineData("5-x", "6-x", "5-y", true)]
    [InlineData("5-x", "6-x", "6-x", false)]
    [InlineData("5-x", "10-x", "9-x", true)]
    [InlineData("5-x", "6-x", null, true)]
    [InlineData("5-x", null, "5-x", true)]
    [InlineData(null, null, "5-x", true)]
    public async Task Keeps_an_item_that_was_queued_again_for_more(string? wantedAtTake, string? wantedSince, string? done, bool stays)
    {
        await Store.Queue.EnqueueAsync([Item("a") with { WantedRev = wantedAtTake, Attempts = 2, LastError = "x", MissingSince = Clock.GetUtcNow() }], null, Cancellation);
        var lease = Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(1));
        await Store.Queue.EnqueueAsync([Item("a") with { WantedRev = wantedSince, DueAt = Clock.GetUtcNow().AddMinutes(5) }], null, Cancellation);
        Assert.True(await Store.Queue.CompleteAsync(lease, done, Cancellation));

        var left = await Store.Queue.FindQueuedAsync(Name("a"), Cancellation);
        Assert.Equal(stays, left is not null);
        if (left is not null)
        {
            var now = Clock.GetUtcNow();
            Assert.Equal((0, null, null, now, now), (left.Attempts, left.LastError, left.MissingSince, left.DueAt, left.QueuedAt));
            Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        }
    }

    [Theory]
    [InlineData("5-x", "4-x")]
    [InlineData("5-x", null)]
    [InlineData(null, null)]
    public async Task Drops_a_finished_item_that_was_not_queued_again(string? wanted, string? done)
    {
        await Store.Queue.EnqueueAsync([Item("a"), Item("a") with { WantedRev = wanted }], null, Cancellation);
        Assert.True(await Store.Queue.CompleteAsync(Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation)), done, Cancellation));
        Assert.Null(await Store.Queue.FindQueuedAsync(Name("a"), Cancellation));
        Assert.Equal(0, (await Store.CountAsync(Cancellation)).Queued);
    }

    [Fact]
    public async Task Puts_an_item_back_for_later()
    {
        await Store.Queue.EnqueueAsync([Item("a") with { WantedRev = "5-x", IsDeletedRow = true }], null, Cancellation);
        var lease = Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        var now = Clock.GetUtcNow();
        Assert.True(await Store.Queue.PostponeAsync(lease, new QueuePostponement(now.AddMinutes(10), "404", now), Cancellation));
        Assert.Equal(lease.Item with { DueAt = now.AddMinutes(10), Attempts = 1, LastError = "404", MissingSince = now }, await Store.Queue.FindQueuedAsync(Name("a"), Cancellation));
        Assert.Empty(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        Assert.False(await Store.Queue.PostponeAsync(lease, new QueuePostponement(now, null, null), Cancellation));

        Clock.Advance(TimeSpan.FromMinutes(10));
        lease = Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        Assert.True(await Store.Queue.PostponeAsync(lease, new QueuePostponement(Clock.GetUtcNow(), null, null), Cancellation));
        var item = await Store.Queue.FindQueuedAsync(Name("a"), Cancellation);
        Assert.Equal((2, null, null), (item!.Attempts, item.LastError, item.MissingSince));
    }

    [Fact]
    public async Task Does_not_postpone_an_item_queued_again_meanwhile()
    {
        await Store.Queue.EnqueueAsync([Item("a") with { WantedRev = "5-x" }], null, Cancellation);
        var lease = Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        await Store.Queue.EnqueueAsync([Item("a") with { WantedRev = "6-x" }], null, Cancellation);
        await Store.Queue.PostponeAsync(lease, new QueuePostponement(Clock.GetUtcNow().AddMinutes(5), "503", null), Cancellation);
        Assert.Equal(("6-x", 1), Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation)).Item is var item ? (item.WantedRev, item.Attempts) : default);
    }

    [Fact]
    public async Task Tells_when_the_next_item_can_be_taken()
    {
        var now = Clock.GetUtcNow();
        await Store.Queue.EnqueueAsync([Item("a") with { DueAt = now.AddMinutes(-5) }, Item("b") with { DueAt = now.AddMinutes(5), Priority = QueuePriority.Bulk }], null, Cancellation);
        Assert.Equal(now.AddMinutes(-5), await Store.Queue.NextDueAsync(Cancellation));
        await Store.Queue.TakeAsync(Name("a"), Minute, Cancellation);
        Assert.Equal(now.AddMinutes(1), await Store.Queue.NextDueAsync(Cancellation));
        await Store.Queue.TakeAsync(Name("b"), Minute, Cancellation);
        Assert.Equal(now.AddMinutes(1), await Store.Queue.NextDueAsync(Cancellation));
        Clock.Advance(Minute);
        Assert.Equal(now.AddMinutes(-5), await Store.Queue.NextDueAsync(Cancellation));
    }

    [Theory]
    [InlineData(400 * 24)]
    [InlineData(1)]
    public async Task Believes_no_due_time_of_a_clock_that_was_ahead(int hoursAhead)
    {
        var ahead = TimeSpan.FromHours(hoursAhead);
        Clock.Advance(ahead);
        await Store.Queue.EnqueueAsync([Item("tried"), Item("queued") with { Priority = QueuePriority.Bulk, DueAt = Clock.GetUtcNow().AddMinutes(5) }], null, Cancellation);
        await Store.Queue.PostponeAsync((await Store.Queue.TakeAsync(Name("tried"), Minute, Cancellation))!, new QueuePostponement(Clock.GetUtcNow() + StoredMoments.LongestPause, "503", Clock.GetUtcNow()), Cancellation);

        Clock.Advance(-ahead);
        var now = Clock.GetUtcNow();
        await Store.Queue.EnqueueAsync([Item("later") with { Priority = QueuePriority.ReadThrough, DueAt = now + StoredMoments.LongestPause }], null, Cancellation);
        Assert.Equal(now, await Store.Queue.NextDueAsync(Cancellation));
        Assert.All(await AllAsync(Store.Queue.ListQueuedAsync(Cancellation)), item => Assert.Equal((item.Name == Name("later") ? now + StoredMoments.LongestPause : now, now), (item.DueAt, item.QueuedAt)));
        Assert.Equal(now, (await Store.Queue.FindQueuedAsync(Name("tried"), Cancellation))!.MissingSince);
        Assert.Equal(["tried", "queued"], await TakeNamesAsync(10));
        Clock.Advance(StoredMoments.LongestPause);
        Assert.Equal(["later", "tried", "queued"], await TakeNamesAsync(10));
    }

    [Fact]
    public async Task Counts_the_age_of_an_item_from_the_moment_the_clock_was_set_right()
    {
        var ahead = TimeSpan.FromDays(400);
        Clock.Advance(ahead);
        await Store.Queue.EnqueueAsync([Item("tried"), Item("again")], null, Cancellation);
        Clock.Advance(-ahead);
        var right = Clock.GetUtcNow();
        await Store.Queue.PostponeAsync((await Store.Queue.TakeAsync(Name("tried"), Minute, Cancellation))!, new QueuePostponement(right, "503", null), Cancellation);
        await Store.Queue.EnqueueAsync([Item("again") with { DueAt = right, QueuedAt = right }], null, Cancellation);
        Clock.Advance(TimeSpan.FromHours(1));
        Assert.All(await AllAsync(Store.Queue.ListQueuedAsync(Cancellation)), item => Assert.Equal(right, item.QueuedAt));
    }

    [Theory]
    [InlineData(400 * 24)]
    [InlineData(1)]
    public async Task Believes_no_lease_on_an_item_of_a_clock_that_was_ahead(int hoursAhead)
    {
        var ahead = TimeSpan.FromHours(hoursAhead);
        Clock.Advance(ahead);
        await Store.Queue.EnqueueAsync([Item("a"), Item("b")], null, Cancellation);
        var lost = await Store.Queue.TakeAsync(2, Minute, Cancellation);
        Clock.Advance(-ahead);
        Assert.Equal(Clock.GetUtcNow(), await Store.Queue.NextDueAsync(Cancellation));
        Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        Assert.NotNull(await Store.Queue.TakeAsync(Name("b"), Minute, Cancellation));
        Assert.False(await Store.Queue.CompleteAsync(lost[0], null, Cancellation));
        Assert.Empty(await Store.Queue.TakeAsync(2, Minute, Cancellation));
    }

    [Fact]
    public async Task Believes_the_longest_lease_from_its_first_moment_to_its_last()
    {
        await Store.Queue.EnqueueAsync([Item("a")], null, Cancellation);
        Assert.Single(await Store.Queue.TakeAsync(1, StoredMoments.LongestLease, Cancellation));
        Assert.True(await Store.Leases.TryHoldLeaseAsync("numberer", "one", StoredMoments.LongestLease, Cancellation));
        foreach (var isAtItsEnd in new[] { false, true })
        {
            Assert.Empty(await Store.Queue.TakeAsync(1, Minute, Cancellation));
            Assert.False(await Store.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
            Clock.Advance(isAtItsEnd ? TimeSpan.FromMilliseconds(1) : StoredMoments.LongestLease - TimeSpan.FromMilliseconds(1));
        }

        Assert.Single(await Store.Queue.TakeAsync(1, Minute, Cancellation));
        Assert.True(await Store.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
    }

    [Fact]
    public async Task Gives_no_lease_longer_than_is_believed()
    {
        await Store.Queue.EnqueueAsync([Item("a")], null, Cancellation);
        var tooLong = StoredMoments.LongestLease + TimeSpan.FromSeconds(1);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await Store.Queue.TakeAsync(1, tooLong, Cancellation));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await Store.Leases.TryHoldLeaseAsync("numberer", "one", tooLong, Cancellation));
    }

    /// <summary>An item that a change queued and that is due.</summary>
    protected QueueItem Item(string name) => new() { Name = Name(name), Priority = QueuePriority.Change, DueAt = Clock.GetUtcNow(), QueuedAt = Clock.GetUtcNow() };

    private async Task<string[]> TakeNamesAsync(int max) => [.. (await Store.Queue.TakeAsync(max, Minute, Cancellation)).Select(lease => lease.Item.Name.Value)];
}
