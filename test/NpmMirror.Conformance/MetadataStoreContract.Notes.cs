using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

public abstract partial class MetadataStoreContract
{
    [Fact]
    public async Task Keeps_texts_under_keys()
    {
        Assert.Null(await Store.Notes.FindNoteAsync("handled", Cancellation));
        await Store.Notes.SetNoteAsync("handled", "12-g1AAAA…", Cancellation);
        await Store.Notes.SetNoteAsync("Handled", "", Cancellation);
        Assert.Equal("12-g1AAAA…", await Store.Notes.FindNoteAsync("handled", Cancellation));
        Assert.Equal("", await Store.Notes.FindNoteAsync("Handled", Cancellation));
        await Store.Notes.SetNoteAsync("handled", "13", Cancellation);
        Assert.Equal("13", await Store.Notes.FindNoteAsync("handled", Cancellation));
        await Store.Notes.SetNoteAsync("handled", null, Cancellation);
        await Store.Notes.SetNoteAsync("handled", null, Cancellation);
        Assert.Null(await Store.Notes.FindNoteAsync("handled", Cancellation));
    }

    [Fact]
    public async Task Lists_the_keys_that_begin_with_a_text()
    {
        for (var i = 0; i < 600; i++)
        {
            await Store.Notes.SetNoteAsync($"kept:{i:000}", new string('x', i), Cancellation);
        }

        await Store.Notes.SetNoteAsync("kept:\U0001F600%_", "é", Cancellation);
        await Store.Notes.SetNoteAsync("kept", "no", Cancellation);
        await Store.Notes.SetNoteAsync("kept;", "no", Cancellation);
        await Store.Notes.SetNoteAsync("KEPT:1", "no", Cancellation);
        var marks = await Store.Notes.ListNotesAsync("kept:", Cancellation).ToListAsync(Cancellation);
        Assert.Equal([.. Enumerable.Range(0, 600).Select(i => new NoteMark($"kept:{i:000}", i)), new NoteMark("kept:\U0001F600%_", 2)], marks);
        Assert.Empty(await Store.Notes.ListNotesAsync("kept:x", Cancellation).ToListAsync(Cancellation));
    }

    [Fact]
    public async Task Keeps_documents_by_their_path()
    {
        byte[] odd = [0, 255, 0xef, 0xbb, 0xbf, .. "{}"u8];
        Assert.Null(await Store.Kept.FindKeptAsync("/-/keys", Cancellation));
        await Store.Kept.KeepAsync("/-/keys", odd, Cancellation);
        await Store.Kept.KeepAsync("/-/keys/", ReadOnlyMemory<byte>.Empty, Cancellation);
        await Store.Kept.KeepAsync("/-/Keys", odd, Cancellation);
        await Store.Notes.SetNoteAsync("/-/keys", "a note", Cancellation);
        Assert.Equal(odd, (await Store.Kept.FindKeptAsync("/-/keys", Cancellation))!.Value.ToArray());
        Assert.Equal(0, (await Store.Kept.FindKeptAsync("/-/keys/", Cancellation))!.Value.Length);
        Assert.Equal([new KeptMark("/-/keys", odd.Length), new KeptMark("/-/keys/", 0)], await Store.Kept.ListKeptAsync("/-/k", Cancellation).ToListAsync(Cancellation));
        await Store.Kept.KeepAsync("/-/keys", "{}"u8.ToArray(), Cancellation);
        Assert.Equal("{}"u8.ToArray(), (await Store.Kept.FindKeptAsync("/-/keys", Cancellation))!.Value.ToArray());
        await Store.Kept.KeepAsync("/-/keys", null, Cancellation);
        Assert.Null(await Store.Kept.FindKeptAsync("/-/keys", Cancellation));
        Assert.Equal("a note", await Store.Notes.FindNoteAsync("/-/keys", Cancellation));
    }

    [Fact]
    public async Task Lists_kept_documents_page_by_page()
    {
        for (var i = 0; i < 600; i++)
        {
            await Store.Kept.KeepAsync($"/a/{i:000}", new byte[i], Cancellation);
        }

        Assert.Equal([.. Enumerable.Range(0, 600).Select(i => new KeptMark($"/a/{i:000}", i))], await Store.Kept.ListKeptAsync("/a/", Cancellation).ToListAsync(Cancellation));
    }

    [Fact]
    public async Task Gives_a_lease_to_one_owner_until_it_expires()
    {
        Assert.True(await Store.Leases.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
        Assert.False(await Store.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        Assert.True(await Store.Leases.TryHoldLeaseAsync("collector", "two", Minute, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(50));
        Assert.True(await Store.Leases.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(50));
        Assert.False(await Store.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.True(await Store.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        Assert.False(await Store.Leases.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
    }

    [Theory]
    [InlineData(400 * 24)]
    [InlineData(1)]
    public async Task Believes_no_lease_of_a_clock_that_was_ahead(int hoursAhead)
    {
        var ahead = TimeSpan.FromHours(hoursAhead);
        Clock.Advance(ahead);
        Assert.True(await Store.Leases.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
        Clock.Advance(-ahead);
        Assert.True(await Store.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        Assert.False(await Store.Leases.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
    }

    [Fact]
    public async Task Takes_a_lease_back_from_its_owner_only()
    {
        await Store.Leases.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation);
        await Store.Leases.ReleaseLeaseAsync("numberer", "two", Cancellation);
        await Store.Leases.ReleaseLeaseAsync("nobody's", "two", Cancellation);
        Assert.False(await Store.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        await Store.Leases.ReleaseLeaseAsync("numberer", "one", Cancellation);
        Assert.True(await Store.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
    }

    [Fact]
    public async Task Gives_a_lease_to_one_of_many()
    {
        var held = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => Store.Leases.TryHoldLeaseAsync("numberer", $"owner {i}", Minute, Cancellation).AsTask())));
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
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Store.Packages.CommitAsync(NewCommit("a", 0, "{}"), left));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Store.Notes.SetNoteAsync("key", "value", left));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Store.Queue.EnqueueAsync([Item("a")], null, left));
        Assert.Null(await Store.Packages.FindAsync(Name("a"), Cancellation));
        Assert.Null(await Store.Notes.FindNoteAsync("key", Cancellation));
        Assert.Null(await Store.Queue.FindQueuedAsync(Name("a"), Cancellation));
    }

    [Fact]
    public async Task Says_that_it_is_closed()
    {
        await Store.DisposeAsync();
        await Store.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await Store.Packages.FindAsync(Name("a"), Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await Store.Packages.CommitAsync(NewCommit("a", 0, "{}"), Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await AllAsync(Store.Packages.ListAsync(null, false, Cancellation)));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await Store.Log.NumberEventsAsync(Cancellation));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await Store.Log.WaitForLogAsync(LogPosition.Zero, Minute, Cancellation));
    }
}
