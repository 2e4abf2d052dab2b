using System.Globalization;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Redis;

/// <summary>A master that sentinels name, and that another server takes the place of.</summary>
[Trait("Duration", "long")]
public sealed class RedisSentinelTests
{
    private const string Secret = "s3cr3t-w0rd";

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A Redis master that sentinels name is followed: killed in the middle of work, and back again, it costs nothing that was acknowledged with replicas=1",
        With = [nameof(Acknowledges_nothing_that_only_a_dead_master_had), nameof(Moves_no_cursor_over_items_of_two_masters)],
        Red = "`RedisSession.ConfirmAsync` does not look at breaks of the connection: the third was red")]
    [Fact]
    public async Task Goes_on_with_the_master_that_the_sentinels_choose()
    {
        await using var set = await RedisSentinelSet.StartAsync();
        await using var store = RedisStores.Create(set.Location("&replicas=1"));
        await store.OpenAsync(Cancelled);
        await using var writer = new RedisWriter(store);
        await writer.WaitForMoreAsync(50);
        await set.Master.KillAsync();
        await writer.WaitForMoreAsync(50);

        // It comes back, and believes for a while that it is the master still.
        await set.Master.StartAsync();
        await writer.WaitForMoreAsync(50);
        await writer.AssertNothingLostAsync(Cancelled);
    }

    [Fact]
    public async Task Acknowledges_nothing_that_only_a_dead_master_had()
    {
        await using var set = await RedisSentinelSet.StartAsync();
        await using var store = RedisStores.Create(set.Location("&replicas=1"));
        await store.OpenAsync(Cancelled);
        await store.Notes.SetNoteAsync("a", "before", Cancelled);
        var port = await CutOffReplicasAsync(set);
        var writing = store.Notes.SetNoteAsync("a", "after", Cancelled).AsTask();
        await Eventually.Async(async () => (await RedisCli.RunAsync("-p", port, "hget", "{mirror}/notes", "a")).Trim() == "after");
        await LoseMasterAsync(set, store);

        // The replica that takes over never had it.
        await Assert.ThrowsAsync<MirrorException>(() => writing);
        Assert.Equal("before", await store.Notes.FindNoteAsync("a", Cancelled));
    }

    [Fact]
    public async Task Moves_no_cursor_over_items_of_two_masters()
    {
        await using var set = await RedisSentinelSet.StartAsync();
        await using var store = RedisStores.Create(set.Location("&replicas=1"));
        await store.OpenAsync(Cancelled);
        await CutOffReplicasAsync(set);

        // Items are sent 500 at a time: the last one is asked for when the others are written.
        using var items = new HeldBack([.. Enumerable.Range(0, 501).Select(i => new QueueItem { Name = PackageName.Parse($"p{i}"), Priority = QueuePriority.Change, DueAt = DateTimeOffset.UnixEpoch, QueuedAt = DateTimeOffset.UnixEpoch })]);
        var queueing = Task.Run(() => store.Queue.EnqueueAsync(items, new QueueCursor("cursor", "501"), Cancelled).AsTask(), Cancelled);
        await items.IsAtLast.WaitAsync(Cancelled);
        await LoseMasterAsync(set, store);
        items.Release();
        await Assert.ThrowsAsync<MirrorException>(() => queueing);
        Assert.Null(await store.Notes.FindNoteAsync("cursor", Cancelled));
        Assert.Null(await store.Queue.FindQueuedAsync(PackageName.Parse("p0"), Cancelled));
    }

    [Claim("Sentinels that are away, ask for a password of their own, do not know the name, or are no sentinels are told in one sentence without the password",
        With = [nameof(Says_that_no_sentinel_answers)])]
    [Fact]
    public async Task Says_what_the_sentinels_want()
    {
        await using var set = await RedisSentinelSet.StartAsync(Secret);
        Assert.Contains("ask for a password of their own", (await FailsToOpenAsync(set.Location())).Message, StringComparison.Ordinal);
        Assert.Contains("ask for a password of their own, or for another one", (await FailsToOpenAsync(set.Location("&sentinelPassword=wrong"))).Message, StringComparison.Ordinal);
        var unknown = await FailsToOpenAsync(set.Location($"&sentinelPassword={Secret}").Replace("sentinel=mymaster", "sentinel=other", StringComparison.Ordinal));
        Assert.Contains("know no master of the name “other”", unknown.Message, StringComparison.Ordinal);
        var server = await FailsToOpenAsync(string.Create(CultureInfo.InvariantCulture, $"redis://127.0.0.1:{set.Master.Port}/?sentinel=mymaster"));
        Assert.Contains("name the sentinels and not the servers of data", server.Message, StringComparison.Ordinal);
        Assert.All([unknown, server], failure => Assert.Equal(MirrorFault.Configuration, failure.Fault));

        await using var store = RedisStores.Create(set.Location($"&sentinelPassword={Secret}"));
        await store.OpenAsync(Cancelled);
        Assert.True((await store.Packages.CommitAsync(RedisTroubleTests.NewCommit("a", 0), Cancelled)).IsCommitted);
        Assert.DoesNotContain(Secret, store.Location, StringComparison.Ordinal);

        // One sentinel is enough to find the master.
        await set.Sentinels[0].KillAsync();
        await set.Sentinels[1].KillAsync();
        await using var other = RedisStores.Create(set.Location($"&sentinelPassword={Secret}"));
        await other.OpenAsync(Cancelled);
        Assert.NotNull(await other.Packages.FindAsync(PackageName.Parse("a"), Cancelled));
    }

    [Fact]
    public async Task Says_that_no_sentinel_answers()
    {
        var failure = await FailsToOpenAsync(string.Create(CultureInfo.InvariantCulture, $"redis://127.0.0.1:{FreePort.Find()}/?sentinel=mymaster"));
        Assert.Equal((MirrorFault.StoreUnavailable, true), (failure.Fault, failure.IsTransient));
        Assert.Contains("None of the sentinels at ", failure.Message, StringComparison.Ordinal);
    }

    // The replicas know nothing of what is written from here on, not even by a buffer of the system.
    private static async Task<string> CutOffReplicasAsync(RedisSentinelSet set)
    {
        foreach (var replica in set.Servers.Skip(1))
        {
            await replica.HoldAsync();
        }

        var port = set.Master.Port.ToString(CultureInfo.InvariantCulture);
        await RedisCli.RunAsync("-p", port, "client", "kill", "type", "replica");
        return port;
    }

    private static async Task LoseMasterAsync(RedisSentinelSet set, IMetadataStore store)
    {
        await set.Master.KillAsync();
        foreach (var replica in set.Servers.Skip(1))
        {
            await replica.ReleaseAsync();
        }

        await Eventually.Async(async () => await store.CheckWritableAsync(Cancelled) is null);
    }

    private static async Task<MirrorException> FailsToOpenAsync(string location)
    {
        await using var store = RedisStores.Create(location);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => store.OpenAsync(Cancelled));
        Assert.DoesNotContain(Secret, failure.ToString(), StringComparison.Ordinal);
        return failure;
    }

    /// <summary>Items of which the last one comes when it is let go.</summary>
    private sealed class HeldBack(List<QueueItem> items) : IReadOnlyList<QueueItem>, IDisposable
    {
        private readonly TaskCompletionSource _isAtLast = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ManualResetEventSlim _isReleased = new();

        public int Count => items.Count;

        internal Task IsAtLast => _isAtLast.Task;

        public QueueItem this[int index]
        {
            get
            {
                if (index == items.Count - 1)
                {
                    _isAtLast.TrySetResult();
                    _isReleased.Wait(TimeSpan.FromSeconds(60));
                }

                return items[index];
            }
        }

        public IEnumerator<QueueItem> GetEnumerator() => items.GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();

        public void Dispose() => _isReleased.Dispose();

        internal void Release() => _isReleased.Set();
    }
}
