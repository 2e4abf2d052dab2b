using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Following;
using NpmMirror.Options;
using NpmMirror.Tests.Upstream;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Following;

/// <summary>Feeds that answer at once, again and again, and do not get ahead.</summary>
public sealed class FeedProgressTests : IDisposable
{
    private const string Packument = """{"name":"a","_rev":"1-a","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"a","version":"1.0.0"}}}""";

    // The longest pause; requests have an hour here.
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    private readonly ByteBudget _budget = new(10_000_000);
    private readonly FakeClock _clock = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _budget.Dispose();

    /// <summary>The answers of such a feed to a request for changes, by its number.</summary>
    public static TheoryData<string, FeedMode, Func<int, string>> Feeds { get; } = new()
    {
        { "since includes the row itself, no last_seq", FeedMode.Longpoll, _ => """{"results":[{"seq":7,"id":"a","changes":[{"version":"1.0.0"}]}]}""" },
        { "the last row there can be", FeedMode.Longpoll, _ => """{"results":[{"seq":9223372036854775807,"id":"a","changes":[{"rev":"1-a"}]}],"last_seq":9223372036854775807}""" },
        { "since is ignored", FeedMode.Longpoll, _ => """{"results":[{"seq":6,"id":"a","changes":[{"rev":"1-a"}]},{"seq":7,"id":"a","changes":[{"rev":"1-a"}]}],"last_seq":7}""" },
        { "another text each time", FeedMode.Longpoll, n => $$"""{"results":[{"seq":"x{{n}}","id":"a","changes":[{"rev":"1-a"}]}],"last_seq":"x{{n}}"}""" },
        { "nothing, and no wait", FeedMode.Longpoll, _ => """{"results":[],"last_seq":7}""" },
        { "nothing, and no sequence", FeedMode.Longpoll, _ => """{"results":[]}""" },
        { "a connection that ends at once", FeedMode.Continuous, _ => """{"results":[],"last_seq":7}""" },
        { "full pages of one row", FeedMode.Poll, _ => $$"""{"results":[{{string.Join(',', Enumerable.Repeat("""{"seq":7,"id":"a","changes":[{"rev":"1-a"}]}""", 10))}}],"last_seq":7}""" },
    };

    [Claim("A feed that makes no progress is asked with growing pauses, in any dialect and for any reason, and repeated rows are handled once",
        With =
        [
            nameof(The_paged_dialect_is_asked_with_growing_pauses_too),
            nameof(A_delay_of_milliseconds_counts_for_ten_polls_that_find_nothing),
            nameof(A_change_after_many_answers_without_one_is_told),
        ],
        Red = "`FeedProgress.WaitAsync` never waits, or polls with a delay are never slowed down: the third was red; its pauses do not grow: the first; rows that are known are handled again: the last")]
    [Theory]
    [MemberData(nameof(Feeds))]
    public async Task A_feed_that_does_not_get_ahead_is_asked_with_growing_pauses(string which, FeedMode mode, Func<int, string> answer)
    {
        var asked = 0;
        await using var peer = new LoopbackPeer(request => Answer(request, () => answer(Interlocked.Increment(ref asked)), updateSeq: 7));
        using var client = New(peer.Url);
        await using var monitor = RegistryMonitor.Bare(new LiveChangeFeed(client, peer.Url, new FeedOptions { Mode = mode, PageRows = 10, Timeout = Hour, Heartbeat = Hour }), client, new MonitorOptions(), concurrency: 1, _clock, NullLogger.Instance);
        await AssertSlowAsync(monitor, () => asked, which);
        // Where the row has the same place again it is no change again.
        var isAnotherPlace = answer(1) != answer(2);
        Assert.InRange(peer.Requests.Count(request => request.Target.StartsWith("/a", StringComparison.Ordinal)), 0, isAnotherPlace ? asked : 5);
    }

    [Fact]
    public async Task The_paged_dialect_is_asked_with_growing_pauses_too()
    {
        var asked = 0;
        await using var peer = new LoopbackPeer(request => Answer(request, () => $$"""{"results":[{"seq":7,"id":"a","changes":[{"rev":"1-a"}]},{"seq":7,"id":"b","changes":[]}],"last_seq":{{7 + (0 * Interlocked.Increment(ref asked))}}}""", updateSeq: 7));
        using var client = New(peer.Url);
        await using var monitor = RegistryMonitor.Bare(new PagedChangeFeed(client, peer.Url, new FeedOptions { PageRows = 2, Timeout = Hour }), client, new MonitorOptions(), concurrency: 1, _clock, NullLogger.Instance);
        await AssertSlowAsync(monitor, () => asked, "full pages");
    }

    [Fact]
    public async Task A_delay_of_milliseconds_counts_for_ten_polls_that_find_nothing()
    {
        var asked = 0;
        await using var peer = new LoopbackPeer(request => Answer(request, () => $$"""{"results":[],"last_seq":{{7 + (0 * Interlocked.Increment(ref asked))}}}""", updateSeq: 7));
        using var client = New(peer.Url);
        await using var monitor = RegistryMonitor.Bare(new LiveChangeFeed(client, peer.Url, new FeedOptions { Mode = FeedMode.Poll, Timeout = Hour }), client, new MonitorOptions { Delay = TimeSpan.FromMilliseconds(10) }, concurrency: 1, _clock, NullLogger.Instance);
        var startedAt = _clock.GetUtcNow();
        monitor.Start(new Sequence("7"));
        await _clock.SkipWaitsAsync(() => asked >= 11, LongestWait);
        var atTen = _clock.GetUtcNow() - startedAt;
        await _clock.SkipWaitsAsync(() => asked >= 21, LongestWait);
        Assert.True(atTen < TimeSpan.FromSeconds(2), $"{atTen}");
        Assert.True(_clock.GetUtcNow() - startedAt >= TimeSpan.FromSeconds(9), $"{_clock.GetUtcNow() - startedAt}");
    }

    [Fact]
    public async Task A_change_after_many_answers_without_one_is_told()
    {
        var (asked, isThere) = (0, false);
        await using var peer = new LoopbackPeer(request => Answer(request, () =>
        {
            Interlocked.Increment(ref asked);
            return $$"""{"results":[{"seq":7,"id":"a","changes":[{"version":"1.0.0"}]}{{(Volatile.Read(ref isThere) ? """,{"seq":8,"id":"a","changes":[{"version":"1.1.0"}]}""" : "")}}]}""";
        }, updateSeq: 8));
        using var client = New(peer.Url);
        await using var monitor = RegistryMonitor.Bare(new LiveChangeFeed(client, peer.Url, new FeedOptions { Timeout = Hour, Heartbeat = Hour }), client, new MonitorOptions(), concurrency: 1, _clock, NullLogger.Instance);
        var told = 0;
        monitor.Appeared += _ => Interlocked.Increment(ref told);
        monitor.Updated += _ => Interlocked.Increment(ref told);
        monitor.Start(new Sequence("7"));
        await _clock.SkipWaitsAsync(() => asked >= 15, LongestWait);
        Assert.Equal(1, told);
        Volatile.Write(ref isThere, true);
        await _clock.SkipWaitsAsync(() => told == 2, LongestWait);
    }

    [Claim("Pages shorter than asked for are not the head while `update_seq` says more",
        Red = "`FeedProgress` takes a short page for the head")]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Pages_shorter_than_asked_are_not_the_head_while_update_seq_says_more(bool isPaged)
    {
        await using var peer = new LoopbackPeer(request => Answer(request, () =>
        {
            var since = int.Parse(request.Target.Split("since=")[1].Split('&')[0], CultureInfo.InvariantCulture);
            var rows = Enumerable.Range(since + 1, 20).TakeWhile(seq => seq <= 20).Take(3).ToList();
            return JsonSerializer.Serialize(new { results = rows.Select(seq => new { seq, id = "a", changes = Array.Empty<object>() }), last_seq = rows.LastOrDefault(since) });
        }, updateSeq: 20));
        using var client = New(peer.Url);
        var options = new FeedOptions { Mode = FeedMode.Poll };
        IChangeFeed feed = isPaged ? new PagedChangeFeed(client, peer.Url, options) : new LiveChangeFeed(client, peer.Url, options);
        await using var monitor = RegistryMonitor.Bare(feed, client, new MonitorOptions { Windows = [] }, concurrency: 1, _clock, NullLogger.Instance);
        monitor.Start(Sequence.Zero);

        // The clock stands still: a wait at a wrong head would never end.
        await Eventually.Async(() => monitor.LastSequence?.Text == "20");
    }

    /// <summary>From the tenth request on at most one a second, and more and more slowly.</summary>
    private async Task AssertSlowAsync(RegistryMonitor monitor, Func<int> asked, string which)
    {
        monitor.Start(new Sequence("7"));
        await _clock.SkipWaitsAsync(() => asked() >= 10, LongestWait);
        var tenthAt = _clock.GetUtcNow();
        await _clock.SkipWaitsAsync(() => asked() >= 20, LongestWait);
        Assert.True(_clock.GetUtcNow() - tenthAt >= TimeSpan.FromSeconds(60), $"{which}: ten requests in {_clock.GetUtcNow() - tenthAt}");
        await monitor.StopAsync(Cancellation);
    }

    private static string Answer(PeerRequest request, Func<string> changes, int updateSeq) => request.Target switch
    {
        "/" => LoopbackPeer.Answer(200, $$"""{"db_name":"registry","doc_count":1,"update_seq":{{updateSeq}}}"""),
        _ when request.Target.Contains("descending", StringComparison.Ordinal) => LoopbackPeer.Answer(400, "{}"),
        _ when request.Target.StartsWith("/_changes", StringComparison.Ordinal) => LoopbackPeer.Answer(200, changes()),
        _ => LoopbackPeer.Answer(200, Packument),
    };

    private RegistryClient New(Uri url) => new(new RegistryClientOptions { BaseUrl = url, Timeout = Hour, ConnectTimeout = 4 * Hour }, _budget, _clock, NullLogger.Instance);
}
