using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Copying;
using NpmMirror.Maintenance;
using NpmMirror.Options;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Tests.AspNetCore;
using NpmMirror.Tests.MongoDB;
using NpmMirror.Tests.Postgres;
using NpmMirror.Tests.Redis;

namespace NpmMirror.Tests.Copying;

/// <summary>From each engine to each, over real servers.</summary>
[Trait("Duration", "long")]
public sealed class CopyEnginesTests(SharedPostgres postgres, SharedMongo mongo, RedisServer redis) : IClassFixture<RedisServer>, IAsyncLifetime
{
    private static readonly string[] Engines = ["memory", "sqlite", "postgres", "redis", "redis-compact", "mongodb"];

    private readonly TestFolder _folder = new();
    private readonly List<IMetadataStore> _opened = [];
    private RichMirror _source = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _source = await RichMirror.StartAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _opened)
        {
            await store.DisposeAsync();
        }

        await _source.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A mirror is copied from each engine to each: the copy is equal, verify finds nothing in it, and it serves the same bytes with the upstream gone",
        With = [nameof(Each_engine_finishes_a_copy_that_died)])]
    [Theory]
    [InlineData("memory")]
    [InlineData("sqlite")]
    [InlineData("postgres")]
    [InlineData("redis")]
    [InlineData("redis-compact")]
    [InlineData("mongodb")]
    public async Task Each_engine_takes_over_all_that_it_has_from(string engine)
    {
        var first = await OpenAsync(engine);
        Assert.True((await _source.CopyToAsync(first)).IsFinished);
        var expected = await StoreDump.OfAsync(_source.Store);
        Assert.Equal(expected, await StoreDump.OfAsync(first));
        var served = await ServeAsync(_source.Store);
        foreach (var other in Engines)
        {
            var second = await OpenAsync(other);
            var summary = await new MirrorCopy(first, second, null, _source.Bench.Clock).RunAsync(new CopyRequest(), Token);
            Assert.True((summary.IsFinished, summary.Found) == (true, 0), other);
            Assert.Equal(expected, await StoreDump.OfAsync(second));

            var findings = new List<VerifyFinding>();
            using var budget = new ByteBudget(64_000_000);
            await new Verifier(second, _source.Bench.Blobs, budget, new MirrorOptions(), _source.Bench.Clock).RunAsync(new VerifyRequest { Found = findings.Add }, Token);
            Assert.Empty(findings);
            Assert.Equal(served, await ServeAsync(second));
        }
    }

    [Fact]
    public async Task Each_engine_finishes_a_copy_that_died()
    {
        var expected = await StoreDump.OfAsync(_source.Store);
        foreach (var engine in Engines)
        {
            foreach (var writes in (int[])[3, 9, 14, 20])
            {
                var target = await OpenAsync(engine);
                var (dying, process) = DyingStore.Over(target, writes);
                var died = await Assert.ThrowsAsync<MirrorException>(() => _source.CopyToAsync(dying));
                Assert.True(process.IsDead, died.Message);
                _source.Bench.Clock.Advance(TimeSpan.FromMinutes(2));
                var summary = await _source.CopyToAsync(target);
                Assert.True((summary.IsFinished, summary.Found) == (true, 0), $"{engine} after {writes} writes: {summary}");
                AssertSame(expected, await StoreDump.OfAsync(target), $"{engine} after {writes} writes");
            }
        }
    }

    [Fact]
    public async Task Each_engine_brings_a_copy_up_to_date()
    {
        var targets = await Engines.ToAsyncEnumerable().Select(async (string engine, CancellationToken _) => await OpenAsync(engine)).ToListAsync(Token);
        foreach (var target in targets)
        {
            await _source.CopyToAsync(target);
        }

        await _source.Bench.HoldAsync("new", "1.0.0");
        _source.Bench.Upstream.PublishVersion("left-pad", "3.0.0");
        await _source.Bench.SyncAsync("left-pad");
        _source.Bench.Upstream.Unpublish("ms");
        await _source.Bench.SyncAsync("ms");
        await _source.PurgeAsync("ms");
        await _source.PurgeAsync("holder");
        await _source.Store.Queue.CompleteAsync((await _source.Store.Queue.TakeAsync(PackageName.Parse("retried"), TimeSpan.FromMinutes(1), Token))!, null, Token);
        var expected = await StoreDump.OfAsync(_source.Store);
        foreach (var target in targets)
        {
            Assert.True((await _source.CopyToAsync(target)).IsFinished, target.Location);
            Assert.Equal(expected, await StoreDump.OfAsync(target));
        }
    }

    private static void AssertSame(List<string> expected, List<string> copied, string place) => Assert.True(
        expected.SequenceEqual(copied),
        $"{place}: {string.Join('\n', expected.Except(copied).Select(line => $"missing {line}").Concat(copied.Except(expected).Select(line => $"there {line}")))}");

    private async Task<string> ServeAsync(IMetadataStore store)
    {
        await using var mirror = await ServedMirror.StartAsync(Unclosed(store), blobs: _source.Bench.Blobs);
        var answers = new List<string>();
        foreach (var path in (string[])["left-pad", "ms", "holder", "@scope%2fOdd", "ms/-/ms-1.0.0.tgz", "left-pad/-/left-pad-1.1.0.tgz"])
        {
            using var answer = await mirror.GetAsync(path, ("Host", "mirror.example.org"));
            answers.Add($"{path} {(int)answer.StatusCode} {Convert.ToHexString(await answer.Content.ReadAsByteArrayAsync(Token))}");
        }

        return string.Join('\n', answers);
    }

    /// <summary>The same store, which the mirror that serves it neither changes nor closes.</summary>
    private static IMetadataStore Unclosed(IMetadataStore store) => InterceptedStore.Over(store, call => call.Method switch
    {
        nameof(IAsyncDisposable.DisposeAsync) => ValueTask.CompletedTask,
        nameof(IMetadataStore.OpenAsync) => Task.CompletedTask,
        nameof(IQueueTable.TakeAsync) when call.Arguments.Length == 3 && call.Arguments[0] is int => new ValueTask<IReadOnlyList<QueueLease>>([]),
        _ => call.Make(),
    });

    private async Task<IMetadataStore> OpenAsync(string engine)
    {
        var clock = _source.Bench.Clock;
        IMetadataStore store = engine switch
        {
            "memory" => new MemoryStore(clock),
            "sqlite" => new SqliteStore(_folder.File($"{_opened.Count}/{SqliteEngine.FileName}"), clock),
            "postgres" => (await postgres.GetAsync()).Create(PostgresServer.NewSchema(), clock),
            "mongodb" => MongoServer.Create(await mongo.NewLocationAsync(), clock),
            "redis" => RedisStores.Create(redis.NewLocation(), clock),
            _ => RedisStores.Create(redis.NewLocation(), clock, NullLoggerFactory.Instance, ("layout", "compact")),
        };
        _opened.Add(store);
        await store.OpenAsync(Token);
        return store;
    }
}
