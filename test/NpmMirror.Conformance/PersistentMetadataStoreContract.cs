using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

/// <summary>The promises of stores that outlive their process and that several processes may open.</summary>
public abstract class PersistentMetadataStoreContract : MetadataStoreContract
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Keeps_all_of_it_when_opened_again()
    {
        await CommitAsync("express", 0, "first");
        await Store.Packages.CommitAsync(NewCommit("express", 1, "second", events: 2) with { ArchivesPrevious = true }, Cancellation);
        await NumberAsync(Store);
        await Store.Queue.EnqueueAsync([Item("express")], new QueueCursor("read", "7"), Cancellation);
        await Store.Tarballs.PutTarballAsync(Tarball("express", "express-1.0.0.tgz"), Cancellation);
        await Store.Leases.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation);
        var (head, counts) = (await Store.Log.ReadHeadAsync(Cancellation), await Store.CountAsync(Cancellation));
        await Store.DisposeAsync();

        var again = await OpenAnotherAsync();
        var package = await again.Packages.ReadAsync(Name("express"), Cancellation);
        Assert.Equal("second", Text(package!.Document));
        Assert.Equal("first", Text((await again.Packages.ReadArchivedAsync(Name("express"), Document("first").Sha256, Cancellation))!));
        Assert.Equal(head, await again.Log.ReadHeadAsync(Cancellation));
        Assert.Equal(counts, await again.CountAsync(Cancellation));
        Assert.Equal("7", await again.Notes.FindNoteAsync("read", Cancellation));
        Assert.NotNull(await again.Queue.FindQueuedAsync(Name("express"), Cancellation));
        Assert.NotNull(await again.Tarballs.FindTarballAsync(Name("express"), "express-1.0.0.tgz", Cancellation));
        Assert.False(await again.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        AssertChain(await AllAsync(again.Log.ReadLogAsync(LogPosition.Zero, Cancellation)), head);
    }

    [Fact]
    public async Task Sees_at_once_a_commit_of_another_store()
    {
        var other = await OpenAnotherAsync();
        await CommitAsync("express", 0, "first");
        Assert.Equal(1, (await other.Packages.FindAsync(Name("express"), Cancellation))!.Generation);
        Assert.False((await other.Packages.CommitAsync(NewCommit("express", 0, "other"), Cancellation)).IsCommitted);
        Assert.True((await other.Packages.CommitAsync(NewCommit("express", 1, "second"), Cancellation)).IsCommitted);
        Assert.False((await CommitAsync("express", 1, "third")).IsCommitted);
    }

    [Fact]
    public async Task Wakes_waiters_for_commits_of_another_store_within_a_second()
    {
        var other = await OpenAnotherAsync();
        var waiting = other.Log.WaitForLogAsync(LogPosition.Zero, Minute, Cancellation).AsTask();
        await CommitAsync("express", 0, "first");
        Assert.Equal(new LogPosition(1), await waiting.WaitAsync(TimeSpan.FromSeconds(1), Cancellation));
    }

    [Fact]
    public async Task Keeps_one_chain_for_all_writers()
    {
        var other = await OpenAnotherAsync();
        await Task.WhenAll(((IMetadataStore[])[Store, other]).SelectMany((store, which) => Enumerable.Range(0, 100).Select(i =>
            Task.Run(() => store.Packages.CommitAsync(NewCommit($"{which}-{i}", 0, "{}", events: 2), Cancellation).AsTask()))));
        await NumberAsync(Store);
        var rows = await AllAsync(other.Log.ReadLogAsync(LogPosition.Zero, Cancellation));
        Assert.Equal(400, rows.Count);
        AssertChain(rows, await Store.Log.ReadHeadAsync(Cancellation));
        Assert.Equal(200, (await other.CountAsync(Cancellation)).Packages);
    }

    [Fact]
    public async Task Lets_one_of_two_stores_win()
    {
        var other = await OpenAnotherAsync();
        await CommitAsync("express", 0, "first");
        var results = await Task.WhenAll(((IMetadataStore[])[Store, other]).Select(store =>
            Task.Run(() => store.Packages.CommitAsync(NewCommit("express", 1, "second"), Cancellation).AsTask())));
        Assert.Single(results, result => result.IsCommitted);
    }

    [Fact]
    public async Task Gives_an_item_to_one_of_two_stores()
    {
        var other = await OpenAnotherAsync();
        await Store.Queue.EnqueueAsync([.. Enumerable.Range(0, 100).Select(i => Item($"p{i}"))], null, Cancellation);
        var taken = await Task.WhenAll(((IMetadataStore[])[Store, other]).Select(store => Task.Run(() => store.Queue.TakeAsync(80, Minute, Cancellation).AsTask())));
        Assert.Equal(100, taken.SelectMany(leases => leases).Select(lease => lease.Item.Name).Distinct().Count());
        Assert.Equal(100, taken.Sum(leases => leases.Count));

        var lease = taken[0][0];
        Assert.True(await other.Queue.CompleteAsync(lease, null, Cancellation));
        Assert.Null(await Store.Queue.FindQueuedAsync(lease.Item.Name, Cancellation));
    }

    [Fact]
    public async Task Gives_a_lease_to_one_of_two_stores()
    {
        var other = await OpenAnotherAsync();
        Assert.True(await Store.Leases.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
        Assert.False(await other.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        await Store.Leases.ReleaseLeaseAsync("numberer", "one", Cancellation);
        Assert.True(await other.Leases.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
    }

    [Fact]
    public async Task Is_created_by_many_at_once()
    {
        await Store.DisposeAsync();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(OpenAnotherAsync)));
    }
}
