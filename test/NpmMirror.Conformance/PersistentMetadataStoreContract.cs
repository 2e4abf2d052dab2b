using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

/// <summary>What stores promise that outlive their process and that several processes may open.</summary>
public abstract class PersistentMetadataStoreContract : MetadataStoreContract
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Keeps_all_of_it_when_opened_again()
    {
        await CommitAsync("express", 0, "first");
        await Store.CommitAsync(NewCommit("express", 1, "second", events: 2) with { ArchivesPrevious = true }, Cancellation);
        await NumberAsync(Store);
        await Store.EnqueueAsync([Item("express")], new QueueCursor("read", "7"), Cancellation);
        await Store.PutTarballAsync(Tarball("express", "express-1.0.0.tgz"), Cancellation);
        await Store.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation);
        var (head, counts) = (await Store.ReadHeadAsync(Cancellation), await Store.CountAsync(Cancellation));
        await Store.DisposeAsync();

        var again = await OpenAnotherAsync();
        var package = await again.ReadAsync(Name("express"), Cancellation);
        Assert.Equal("second", Text(package!.Row.Name, package.Document));
        Assert.Equal("first", Text(package.Row.Name, (await again.ReadArchivedAsync(Name("express"), Document("first").Sha256, Cancellation))!));
        Assert.Equal(head, await again.ReadHeadAsync(Cancellation));
        Assert.Equal(counts, await again.CountAsync(Cancellation));
        Assert.Equal("7", await again.GetCursorAsync("read", Cancellation));
        Assert.NotNull(await again.FindQueuedAsync(Name("express"), Cancellation));
        Assert.NotNull(await again.FindTarballAsync(Name("express"), "express-1.0.0.tgz", Cancellation));
        Assert.False(await again.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        AssertChain(await AllAsync(again.ReadLogAsync(LogPosition.Zero, Cancellation)), head);
    }

    [Fact]
    public async Task Sees_at_once_what_another_has_committed()
    {
        var other = await OpenAnotherAsync();
        await CommitAsync("express", 0, "first");
        Assert.Equal(1, (await other.FindAsync(Name("express"), Cancellation))!.Generation);
        Assert.False((await other.CommitAsync(NewCommit("express", 0, "other"), Cancellation)).IsCommitted);
        Assert.True((await other.CommitAsync(NewCommit("express", 1, "second"), Cancellation)).IsCommitted);
        Assert.False((await CommitAsync("express", 1, "third")).IsCommitted);
    }

    [Fact]
    public async Task Wakes_those_who_wait_for_another_s_commits_within_a_second()
    {
        var other = await OpenAnotherAsync();
        var waiting = other.WaitForLogAsync(LogPosition.Zero, Minute, Cancellation).AsTask();
        await CommitAsync("express", 0, "first");
        Assert.Equal(new LogPosition(1), await waiting.WaitAsync(TimeSpan.FromSeconds(1), Cancellation));
    }

    [Fact]
    public async Task Keeps_one_chain_for_all_who_write()
    {
        var other = await OpenAnotherAsync();
        await Task.WhenAll(((IMetadataStore[])[Store, other]).SelectMany((store, which) => Enumerable.Range(0, 100).Select(i =>
            Task.Run(() => store.CommitAsync(NewCommit($"{which}-{i}", 0, "{}", events: 2), Cancellation).AsTask()))));
        await NumberAsync(Store);
        var rows = await AllAsync(other.ReadLogAsync(LogPosition.Zero, Cancellation));
        Assert.Equal(400, rows.Count);
        AssertChain(rows, await Store.ReadHeadAsync(Cancellation));
        Assert.Equal(200, (await other.CountAsync(Cancellation)).Packages);
    }

    [Fact]
    public async Task Lets_one_of_two_stores_win()
    {
        var other = await OpenAnotherAsync();
        await CommitAsync("express", 0, "first");
        var results = await Task.WhenAll(((IMetadataStore[])[Store, other]).Select(store =>
            Task.Run(() => store.CommitAsync(NewCommit("express", 1, "second"), Cancellation).AsTask())));
        Assert.Single(results, result => result.IsCommitted);
    }

    [Fact]
    public async Task Gives_an_item_to_one_of_two_stores()
    {
        var other = await OpenAnotherAsync();
        await Store.EnqueueAsync([.. Enumerable.Range(0, 100).Select(i => Item($"p{i}"))], null, Cancellation);
        var taken = await Task.WhenAll(((IMetadataStore[])[Store, other]).Select(store => Task.Run(() => store.TakeAsync(80, Minute, Cancellation).AsTask())));
        Assert.Equal(100, taken.SelectMany(leases => leases).Select(lease => lease.Item.Name).Distinct().Count());
        Assert.Equal(100, taken.Sum(leases => leases.Count));

        var lease = taken[0][0];
        Assert.True(await other.CompleteAsync(lease, null, Cancellation));
        Assert.Null(await Store.FindQueuedAsync(lease.Item.Name, Cancellation));
    }

    [Fact]
    public async Task Gives_a_lease_to_one_of_two_stores()
    {
        var other = await OpenAnotherAsync();
        Assert.True(await Store.TryHoldLeaseAsync("numberer", "one", Minute, Cancellation));
        Assert.False(await other.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
        await Store.ReleaseLeaseAsync("numberer", "one", Cancellation);
        Assert.True(await other.TryHoldLeaseAsync("numberer", "two", Minute, Cancellation));
    }

    [Fact]
    public async Task Is_created_by_many_at_once()
    {
        await Store.DisposeAsync();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(OpenAnotherAsync)));
    }
}
