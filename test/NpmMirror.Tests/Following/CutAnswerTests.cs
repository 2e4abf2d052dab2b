using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Options;
using NpmMirror.Testing;
using NpmMirror.Tests.Packuments;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Following;

/// <summary>Answers of the feed and the list that break off, at any byte and in any framing: nothing is lost, and nothing is believed that did not come.</summary>
public sealed class CutAnswerTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Rounds = 30;

    // Longer than any wait between two tries, shorter than the time-outs of requests.
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(20);

    private readonly FakeClock _clock = new();
    private readonly ByteBudget _budget = new(10_000_000);
    private FakeRegistry _registry = null!;
    private RegistryClient _client = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _registry = await FakeRegistry.StartAsync(cancellationToken: Token);
        foreach (var name in new[] { "a", "@scope/ä", "b" })
        {
            _registry.Publish(new FakePackage(name).Version("1.0.0"));
        }

        _client = new RegistryClient(new RegistryClientOptions { BaseUrl = _registry.Url, ConnectTimeout = TimeSpan.FromSeconds(30) }, _budget, _clock, NullLogger.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _registry.DisposeAsync();
        _budget.Dispose();
    }

    [Claim("Answers of feed and list may break off at any byte, in any framing: a page is never a shorter one, the probe never takes it for an upstream without a feed, the list is read to its end, a follower misses no change and its cursor is never ahead",
        With =
        [
            nameof(The_probe_does_not_take_a_cut_answer_for_an_upstream_without_feed),
            nameof(A_list_that_breaks_off_anywhere_is_read_to_its_end),
            nameof(A_follower_of_a_feed_that_breaks_off_anywhere_hears_of_everything),
            $"{nameof(Feeds.ChangesReaderTests)}.{nameof(Feeds.ChangesReaderTests.A_page_cut_anywhere_is_a_transient_failure_and_not_a_malformed_page)}",
        ],
        Red = "a bracket that has just opened does not count as open (`CutJson`): the first two and the last were red")]
    [Theory]
    [InlineData(FakeFraming.ContentLength)]
    [InlineData(FakeFraming.Chunked)]
    [InlineData(FakeFraming.CloseDelimited)]
    public async Task A_page_cut_at_any_byte_is_a_transient_failure(FakeFraming framing)
    {
        var feed = new LiveChangeFeed(_client, _registry.Url, new FeedOptions { Mode = FeedMode.Poll });
        var whole = Assert.Single(await ReadAsync(feed));
        for (var cut = 0; ; cut++)
        {
            _registry.Knobs.Clear();
            _registry.Knobs.Add(new FakeRule { CutAfterBytes = cut, Framing = framing });
            try
            {
                // Only the line's end is missing, or nothing.
                Assert.Equal(whole.Rows, Assert.Single(await ReadAsync(feed)).Rows);
                Assert.True(cut > 100);
                return;
            }
            catch (MirrorException failure)
            {
                Assert.True(failure is { Fault: MirrorFault.UpstreamUnavailable, IsTransient: true }, $"Cut at {cut}: {failure.Message}");
            }
        }
    }

    [Fact]
    public async Task A_list_that_breaks_off_anywhere_is_read_to_its_end()
    {
        var random = new Random(FuzzSeed.Next(output));
        var names = _registry.Names.Order(StringComparer.Ordinal).ToList();
        for (var round = 0; round < Rounds; round++)
        {
            _registry.Knobs.Clear();
            _registry.Knobs.Add(NextCut(random, "/_all_docs", lengthMax: 200));
            var listing = new PagedChangeFeed(_client, _registry.Url, new FeedOptions { ListRows = random.Next(1, 5) + 1 }).ListAllAsync(Token).ToListAsync(Token).AsTask();
            await _clock.SkipWaitsAsync(listing, LongestPause);
            Assert.Equal(names, (await listing).Select(package => package.Id).Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public async Task The_probe_does_not_take_a_cut_answer_for_an_upstream_without_feed()
    {
        var random = new Random(FuzzSeed.Next(output));
        for (var round = 0; round < Rounds; round++)
        {
            _registry.Knobs.Feed = random.Next(2) == 0 ? FakeFeedDialect.NpmPaged : FakeFeedDialect.CouchDb;
            _registry.Knobs.Clear();
            _registry.Knobs.Add(NextCut(random, "/", lengthMax: 60));
            _registry.Knobs.Add(NextCut(random, "/_changes", lengthMax: 60));
            var finding = _client.NewRetry().RunAsync(() => new FeedProbe(_client, new FeedOptions(), NullLogger.Instance).FindAsync("auto", Token), Token);
            await _clock.SkipWaitsAsync(finding, LongestPause);
            Assert.True(await finding is not null, $"Round {round} found no feed.");
        }
    }

    [Fact]
    public async Task A_follower_of_a_feed_that_breaks_off_anywhere_hears_of_everything()
    {
        var random = new Random(FuzzSeed.Next(output));
        for (var round = 0; round < Rounds; round++)
        {
            var isPaged = random.Next(4) == 0;
            _registry.Knobs.Feed = isPaged ? FakeFeedDialect.NpmPaged : FakeFeedDialect.CouchDb;
            var options = new FeedOptions { Mode = (FeedMode)random.Next(3), PageRows = random.Next(1, 5), PollDelay = TimeSpan.FromSeconds(5) };
            IChangeFeed feed = isPaged ? new PagedChangeFeed(_client, _registry.Url, options) : new LiveChangeFeed(_client, _registry.Url, options);
            _registry.Knobs.Clear();
            _registry.Knobs.Add(NextCut(random, "/_changes", lengthMax: 300));
            var handler = new HeardHandler(_registry);
            await using (var monitor = new RegistryMonitor(feed, handler, new MonitorOptions { Windows = [] }, _clock, NullLogger.Instance))
            {
                monitor.Start(Sequence.Zero);
                await _clock.SkipWaitsAsync(() => handler.Heard.Contains("b"), LongestPause);
                _registry.Knobs.Add(NextCut(random, "/_changes", lengthMax: 300));
                _registry.Publish(new FakePackage($"live-{round}").Version("1.0.0"));
                await _clock.SkipWaitsAsync(() => monitor.LastSequence?.Number == _registry.HeadSequence, LongestPause);
            }

            Assert.Empty(_registry.Names.Except(handler.Heard));
            Assert.Empty(handler.Ahead);
        }
    }

    private static FakeRule NextCut(Random random, string path, int lengthMax) => new()
    {
        Path = path,
        TimesMax = random.Next(1, 4),
        CutAfterBytes = random.Next(lengthMax),
        Framing = (FakeFraming)random.Next(3),
        ResetsAtCut = random.Next(3) == 0,
    };

    private static async Task<List<ChangesPage>> ReadAsync(LiveChangeFeed feed) => await feed.ReadAsync(Sequence.Zero, null, Token).ToListAsync(Token);

    /// <summary>Notes the rows that were told, and each name that the cursor passed without a row.</summary>
    private sealed class HeardHandler(FakeRegistry registry) : IChangeHandler
    {
        private readonly Lock _lock = new();
        private readonly HashSet<string> _heard = [];

        public IReadOnlyCollection<string> Heard
        {
            get
            {
                lock (_lock)
                {
                    return [.. _heard];
                }
            }
        }

        public List<string> Ahead { get; } = [];

        public Task HandleAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken)
        {
            lock (_lock)
            {
                _heard.UnionWith(page.Rows.Select(row => row.Id));
                Ahead.AddRange(registry.Database.All().Where(document => document.Sequence <= page.LastSequence.Number && !_heard.Contains(document.Name)).Select(document => document.Name));
            }

            return Task.CompletedTask;
        }

        public Task<IReadOnlyList<ChangeRow>> HandleAgainAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<ChangeRow>>([]);

        public ValueTask<string?> ReadTrailAsync(CancellationToken cancellationToken) => ValueTask.FromResult<string?>(null);

        public ValueTask KeepTrailAsync(string trail, CancellationToken cancellationToken) => ValueTask.CompletedTask;
    }
}
