using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Options;
using NpmMirror.Renditions;
using NpmMirror.Storage;
using NpmMirror.Tests.AspNetCore;

namespace NpmMirror.Tests.Storage;

public sealed class RegistryLogTests
{
    [Fact]
    public async Task A_thousand_waiting_followers_cost_the_store_one_reader()
    {
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        using var budget = new ByteBudget(1_000_000);
        var news = new PackageNews();
        using var cache = new RenditionCache(store.Packages, news, budget, new MirrorOptions(), TimeProvider.System);
        using var log = new RegistryLog(store.Log, news, TimeProvider.System, NullLogger<RegistryLog>.Instance);
        await log.StartAsync(TestContext.Current.CancellationToken);
        var waiting = Enumerable.Range(0, 1_000).Select(_ => log.WaitAsync(LogPosition.Zero, TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken).AsTask()).ToList();
        await Eventually.Async(() => counts.CountOf("WaitForLogAsync") == 1);
        await ServedMirror.PutAsync(store, "ms", Documents.Of("ms"));
        Assert.All(await Task.WhenAll(waiting), head => Assert.Equal(new LogPosition(1), head));
        Assert.InRange(counts.CountOf("WaitForLogAsync"), 1, 3);
        await log.StopAsync(TestContext.Current.CancellationToken);
    }

    [Claim("A packument that was served right after the start stays in memory: the log's end was found before",
        Red = "`RegistryLog` finds it in the background (no `StartAsync`)")]
    [Fact]
    public async Task The_end_of_the_log_is_known_once_it_has_started()
    {
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        await ServedMirror.PutAsync(store, "ms", Documents.Of("ms"));
        var news = new PackageNews();
        var forgotten = 0;
        news.AllChanged += () => forgotten++;
        using var log = new RegistryLog(store.Log, news, TimeProvider.System, NullLogger<RegistryLog>.Instance);
        await log.StartAsync(TestContext.Current.CancellationToken);
        Assert.Equal((1, 1), (forgotten, counts.CountOf("ReadHeadAsync")));
        Assert.Equal(new LogPosition(1), await log.WaitAsync(LogPosition.Zero, TimeSpan.Zero, TestContext.Current.CancellationToken));
        await Eventually.Async(() => counts.CountOf("WaitForLogAsync") == 1);
        Assert.Equal((1, 1), (forgotten, counts.CountOf("ReadHeadAsync")));
        await log.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Reading_goes_on_after_trouble()
    {
        var (store, counts) = CountedStore.Over(new MemoryStore(TimeProvider.System));
        using var budget = new ByteBudget(1_000_000);
        var news = new PackageNews();
        using var cache = new RenditionCache(store.Packages, news, budget, new MirrorOptions(), TimeProvider.System);
        counts.LogTrouble = new MirrorException(MirrorFault.StoreUnavailable, "The store is away.", isTransient: true);
        using var log = new RegistryLog(store.Log, news, TimeProvider.System, NullLogger<RegistryLog>.Instance);
        await log.StartAsync(TestContext.Current.CancellationToken);
        await Eventually.Async(() => counts.CountOf("ReadHeadAsync") > 0);
        counts.LogTrouble = null;
        await ServedMirror.PutAsync(store, "ms", Documents.Of("ms"));
        Assert.Equal(new LogPosition(1), await log.WaitAsync(LogPosition.Zero, TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        await log.StopAsync(TestContext.Current.CancellationToken);
    }

    [Claim("A reader of the log is told of a damaged event in its place, and of all others",
        Red = "damage ends the reader (as before)")]
    [Theory]
    [InlineData("payload = x''")]
    [InlineData("payload = CAST('[]' AS BLOB)")]
    [InlineData("payload = CAST('{' AS BLOB)")]
    [InlineData("generation = 'nonsense'")]
    public async Task A_damaged_event_is_told_as_such_and_the_others_go_on(string change)
    {
        await using var bench = await NpmMirror.Tests.Maintenance.MaintenanceBench.StartAsync();
        foreach (var name in (string[])["a", "b", "c"])
        {
            await bench.HoldAsync(name, "1.0.0");
        }

        bench.Tamper($"UPDATE log SET {change} WHERE position = 2");
        using var log = new RegistryLog(bench.Store.Log, new PackageNews(), TimeProvider.System, NullLogger<RegistryLog>.Instance);
        var told = await log.FollowAsync(LogPosition.Zero, TestContext.Current.CancellationToken).Take(3).ToListAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["a", "b", "c"], told.Select(one => one.Package.Value));
        Assert.Equal([1, 2, 3], told.Select(one => one.Position.Value));
        var damaged = Assert.IsType<NpmMirror.Log.EventDamaged>(told[1]);
        Assert.Equal("PackageAdded", damaged.Type);
        Assert.NotEmpty(damaged.Problem);
        Assert.IsType<NpmMirror.Log.PackageAdded>(told[2]);
    }

    [Fact]
    public async Task Events_are_told_from_a_position_on_and_none_is_left_out_or_told_twice()
    {
        var store = new MemoryStore(TimeProvider.System);
        using var budget = new ByteBudget(1_000_000);
        var news = new PackageNews();
        using var cache = new RenditionCache(store.Packages, news, budget, new MirrorOptions(), TimeProvider.System);
        using var log = new RegistryLog(store.Log, news, TimeProvider.System, NullLogger<RegistryLog>.Instance);

        // More than is kept of the end: some come from the store, the others from memory.
        await PutAsync(0, 300);
        await log.StartAsync(TestContext.Current.CancellationToken);
        var told = new List<long>();
        await using var events = log.FollowAsync(new LogPosition(10), TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        var writing = PutAsync(300, 600);
        while (told.Count < 590 && await events.MoveNextAsync())
        {
            told.Add(events.Current.Position.Value);
        }

        await writing;
        Assert.Equal(Enumerable.Range(11, 590).Select(position => (long)position), told);

        var end = events.MoveNextAsync().AsTask();
        log.EndWaiting();
        Assert.False(await end.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));
        await log.StopAsync(TestContext.Current.CancellationToken);

        async Task PutAsync(int from, int to)
        {
            for (var i = from; i < to; i++)
            {
                await ServedMirror.PutAsync(store, $"p{i % 7}", Documents.Of($"p{i % 7}", $"{i}"));
                await Task.Yield();
            }
        }
    }
}
