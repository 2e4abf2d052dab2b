using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

public abstract partial class MetadataStoreContract
{
    [Fact]
    public async Task Keeps_texts_under_keys()
    {
        Assert.Null(await Store.GetCursorAsync("handled", Cancellation));
        await Store.SetCursorAsync("handled", "12-g1AAAA…", Cancellation);
        await Store.SetCursorAsync("Handled", "", Cancellation);
        Assert.Equal("12-g1AAAA…", await Store.GetCursorAsync("handled", Cancellation));
        Assert.Equal("", await Store.GetCursorAsync("Handled", Cancellation));
        await Store.SetCursorAsync("handled", "13", Cancellation);
        Assert.Equal("13", await Store.GetCursorAsync("handled", Cancellation));
        await Store.SetCursorAsync("handled", null, Cancellation);
        await Store.SetCursorAsync("handled", null, Cancellation);
        Assert.Null(await Store.GetCursorAsync("handled", Cancellation));
    }

    [Fact]
    public async Task Lists_the_keys_that_begin_with_a_text()
    {
        for (var i = 0; i < 600; i++)
        {
            await Store.SetCursorAsync($"kept:{i:000}", new string('x', i), Cancellation);
        }

        await Store.SetCursorAsync("kept:\U0001F600%_", "é", Cancellation);
        await Store.SetCursorAsync("kept", "no", Cancellation);
        await Store.SetCursorAsync("kept;", "no", Cancellation);
        await Store.SetCursorAsync("KEPT:1", "no", Cancellation);
        var marks = await Store.ListCursorsAsync("kept:", Cancellation).ToListAsync(Cancellation);
        Assert.Equal([.. Enumerable.Range(0, 600).Select(i => new CursorMark($"kept:{i:000}", i)), new CursorMark("kept:\U0001F600%_", 2)], marks);
        Assert.Empty(await Store.ListCursorsAsync("kept:x", Cancellation).ToListAsync(Cancellation));
    }

    [Fact]
    public async Task Gives_a_lease_to_one_owner_until_it_expires()
    {
        Assert.True(await Store.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
        Assert.False(await Store.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        Assert.True(await Store.TryHoldLeaseAsync("collector", "two", Minute, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(50));
        Assert.True(await Store.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(50));
        Assert.False(await Store.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.True(await Store.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        Assert.False(await Store.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
    }

    [Theory]
    [InlineData(400 * 24)]
    [InlineData(1)]
    public async Task Believes_no_lease_of_a_clock_that_was_ahead(int hoursAhead)
    {
        var ahead = TimeSpan.FromHours(hoursAhead);
        Clock.Advance(ahead);
        Assert.True(await Store.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
        Clock.Advance(-ahead);
        Assert.True(await Store.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        Assert.False(await Store.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
    }

    [Fact]
    public async Task Takes_a_lease_back_from_its_owner_only()
    {
        await Store.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation);
        await Store.ReleaseLeaseAsync("numberer", "two", Cancellation);
        await Store.ReleaseLeaseAsync("nobody's", "two", Cancellation);
        Assert.False(await Store.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        await Store.ReleaseLeaseAsync("numberer", "one", Cancellation);
        Assert.True(await Store.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
    }

    [Fact]
    public async Task Gives_a_lease_to_one_of_many()
    {
        var held = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => Store.TryHoldLeaseAsync("numberer", $"owner {i}", Minute, Cancellation).AsTask())));
        Assert.Single(held, isHeld => isHeld);
    }

    [Fact]
    public async Task Says_where_it_is_and_that_it_can_be_written()
    {
        Assert.NotEqual("", Store.Location);
        Assert.Null(await Store.CheckWritableAsync(Cancellation));
    }

    [Fact]
    public async Task Writes_nothing_for_a_caller_that_has_left()
    {
        var left = new CancellationToken(canceled: true);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Store.CommitAsync(NewCommit("a", 0, "{}"), left));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Store.SetCursorAsync("key", "value", left));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Store.EnqueueAsync([Item("a")], null, left));
        Assert.Null(await Store.FindAsync(Name("a"), Cancellation));
        Assert.Null(await Store.GetCursorAsync("key", Cancellation));
        Assert.Null(await Store.FindQueuedAsync(Name("a"), Cancellation));
    }

    [Fact]
    public async Task Says_that_it_is_closed()
    {
        await Store.DisposeAsync();
        await Store.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await Store.FindAsync(Name("a"), Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await Store.CommitAsync(NewCommit("a", 0, "{}"), Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await AllAsync(Store.ListAsync(null, false, Cancellation)));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await Store.NumberEventsAsync(Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await Store.WaitForLogAsync(LogPosition.Zero, Minute, Cancellation));
    }
}
