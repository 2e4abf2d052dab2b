using System.Text;
using NpmMirror.Feeds;
using NpmMirror.Options;

namespace NpmMirror.Tests.Upstream;

/// <summary>Lists and pages without an end: they are read row by row, and a row has a limit.</summary>
public sealed class EndlessAnswerTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("Lists and pages without an end are read row by row; a row without an end is refused",
        With =
        [
            nameof(Rows_of_the_classic_list_come_while_it_goes_on),
            nameof(A_page_that_ignores_the_limit_comes_in_parts_by_number_and_by_length),
            nameof(A_look_at_some_rows_ends_when_it_has_them),
            nameof(A_question_for_one_id_ends_at_an_answer_about_others),
            nameof(A_row_of_a_list_over_the_limit_is_refused),
            nameof(A_row_without_an_end_is_refused),
            nameof(A_text_without_an_end_in_the_classic_list_is_refused),
        ],
        Red = "a list passes over a row that is too long: the sixth was red")]
    [Fact]
    public async Task Rows_of_a_list_come_while_its_page_goes_on()
    {
        await using var peer = Endless("""{"total_rows":1,"rows":[""", i => Listed($"p{i}") + ",\n");
        using var client = RegistryClientTests.Client(peer);
        var rows = await new PagedChangeFeed(client, peer.Url, new FeedOptions { ListRows = 10 }).ListAllAsync(Cancelled).Take(50_000).ToListAsync(Cancelled);
        Assert.Equal(new ListedPackage("p49999", "1-a"), rows[^1]);
    }

    [Fact]
    public async Task Rows_of_the_classic_list_come_while_it_goes_on()
    {
        await using var peer = Endless("{", i => $$"""
            "p{{i}}":{"name":"p{{i}}"},
            """, request => request.Target == "/-/all");
        using var client = RegistryClientTests.Client(peer);
        var rows = await new PagedChangeFeed(client, peer.Url, new FeedOptions()).ListAllAsync(Cancelled).Take(10_000).ToListAsync(Cancelled);
        Assert.Equal("p9999", rows[^1].Id);
    }

    [Fact]
    public async Task A_page_that_ignores_the_limit_comes_in_parts_by_number_and_by_length()
    {
        var id = new string('x', 100_000);
        await using var peer = Endless("""{"results":[""", i => $$"""{"seq":{{i + 1}},"id":"{{(i < 200 ? id : "p")}}{{i}}","changes":[{"rev":"1-a"}]},""" + "\n");
        using var client = RegistryClientTests.Client(peer);
        foreach (IChangeFeed feed in new IChangeFeed[] { new PagedChangeFeed(client, peer.Url, new FeedOptions()), new LiveChangeFeed(client, peer.Url, new FeedOptions()) })
        {
            var pages = await feed.ReadAsync(Sequence.Zero, null, Cancelled).Take(5).ToListAsync(Cancelled);
            Assert.All(pages, page => Assert.True(page.Rows.Sum(row => (long)row.Id.Length) < 6_000_000, $"A page has {page.Rows.Count} rows."));
            Assert.All(pages, page => Assert.False(page.IsAtHead));
            Assert.Equal(pages.Sum(page => page.Rows.Count), pages[^1].LastSequence.Number);
        }
    }

    [Fact]
    public async Task A_look_at_some_rows_ends_when_it_has_them()
    {
        await using var peer = Endless("""{"results":[""", i => $$"""{"seq":{{i + 1}},"id":"p{{i}}","changes":[{"rev":"1-a"}]},""" + "\n");
        using var client = RegistryClientTests.Client(peer);
        var feed = new LiveChangeFeed(client, peer.Url, new FeedOptions());
        Assert.Equal(7, (await feed.ReadRowsAsync(Sequence.Zero, 7, Cancelled)).Count);
        await feed.ReadNewestAsync(7, Cancelled);
    }

    [Fact]
    public async Task A_question_for_one_id_ends_at_an_answer_about_others()
    {
        await using var peer = Endless("""{"rows":[""", i => Listed($"p{i}") + ",\n");
        using var client = RegistryClientTests.Client(peer);
        Assert.Null(await new PagedChangeFeed(client, peer.Url, new FeedOptions()).IsListedAsync("x", Cancelled));
    }

    [Fact]
    public async Task A_row_of_a_list_over_the_limit_is_refused()
    {
        var row = Listed(new string('x', RowScanner.RowMaxBytes));
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(200, $$"""{"rows":[{{Listed("a")}},{{row}},{{Listed("b")}}]}"""));
        using var client = RegistryClientTests.Client(peer);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => new PagedChangeFeed(client, peer.Url, new FeedOptions()).IsListedAsync("a", Cancelled));
        Assert.Contains("had a list", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"results":[{"seq":1,"id":"a"},{"id":" """)]
    [InlineData("""{"rows":[{"id":"a"},[ """)]
    public async Task A_row_without_an_end_is_refused(string begin)
    {
        var blanks = new string(' ', 64 * 1024);
        await using var peer = Endless(begin, _ => blanks);
        using var client = RegistryClientTests.Client(peer);
        var feed = new LiveChangeFeed(client, peer.Url, new FeedOptions { Mode = FeedMode.Poll });
        var failure = await Assert.ThrowsAsync<MirrorException>(() => feed.ReadAsync(Sequence.Zero, null, Cancelled).ToListAsync(Cancelled).AsTask());
        Assert.Equal(MirrorFault.UpstreamMalformed, failure.Fault);
        Assert.Contains("row without an end", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_text_without_an_end_in_the_classic_list_is_refused()
    {
        var text = new string('x', 64 * 1024);
        await using var peer = Endless("{\"a\":{\"readme\":\"", _ => text, request => request.Target == "/-/all");
        using var client = RegistryClientTests.Client(peer);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => new PagedChangeFeed(client, peer.Url, new FeedOptions()).ListAllAsync(Cancelled).ToListAsync(Cancelled).AsTask());
        Assert.Contains("has a text of more than", failure.Message, StringComparison.Ordinal);
    }

    [Claim("A page of a list that broke off goes on after its last row",
        Red = "`FeedRequests.ListPagesAsync` asks without `startkey` again")]
    [Fact]
    public async Task A_list_that_broke_off_goes_on_at_its_last_row()
    {
        var clock = new FakeClock();
        await using var peer = new LoopbackPeer(request => request.Target.Contains("startkey=%22b%22", StringComparison.Ordinal)
            ? LoopbackPeer.Answer(200, """{"rows":[{"id":"b","value":{}},{"id":"c","value":{}}]}""")
            : request.Target.Contains("startkey=%22c%22", StringComparison.Ordinal)
                ? LoopbackPeer.Answer(200, """{"rows":[{"id":"c","value":{}}]}""")
                : LoopbackPeer.Answer(200, """{"rows":[{"id":"a","value":{}},{"id":"b","value":{}},{"id":"b"""));
        using var client = RegistryClientTests.Client(peer, time: clock);
        var listing = new PagedChangeFeed(client, peer.Url, new FeedOptions()).ListAllAsync(Cancelled).ToListAsync(Cancelled).AsTask();
        await clock.SkipWaitsAsync(listing, TimeSpan.FromMinutes(10));
        Assert.Equal(["a", "b", "c"], (await listing).Select(package => package.Id));
    }

    [Claim("A list that does not know `startkey` ends with an error and is not read for ever",
        Red = "`FeedRequests.ListPagesAsync` does not compare the first rows of pages")]
    [Theory]
    [InlineData("a,b", "a,b")]
    [InlineData("a,b,c", "b,c")]
    [InlineData("a,b", "c,d")]
    public async Task A_list_that_does_not_know_startkey_is_not_read_for_ever(string first, string others)
    {
        await using var peer = new LoopbackPeer(request =>
            LoopbackPeer.Answer(200, $$"""{"rows":[{{string.Join(',', (request.Target.Contains("startkey", StringComparison.Ordinal) ? others : first).Split(',').Select(Listed))}}]}"""));
        using var client = RegistryClientTests.Client(peer);
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await new PagedChangeFeed(client, peer.Url, new FeedOptions()).ListAllAsync(Cancelled).CountAsync(Cancelled));
        Assert.Equal((MirrorFault.UpstreamMalformed, false), (failure.Fault, failure.IsTransient));
        Assert.Contains("it does not know startkey", failure.Message, StringComparison.Ordinal);
        Assert.InRange(peer.Requests.Count, 2, 4);
    }

    private static string Listed(string id) => $$$"""{"id":"{{{id}}}","value":{"rev":"1-a"}}""";

    /// <summary>An answer without an end; anything else is a 404.</summary>
    private static LoopbackPeer Endless(string begin, Func<int, string> more, Func<PeerRequest, bool>? isIt = null) => new(async (request, stream, cancellationToken) =>
    {
        if (isIt?.Invoke(request) is false)
        {
            await stream.WriteAsync(Encoding.UTF8.GetBytes(LoopbackPeer.Answer(404, "{}")), cancellationToken);
            return;
        }

        await stream.WriteAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{begin}"), cancellationToken);
        var piece = new StringBuilder();
        for (var i = 0; ; i++)
        {
            piece.Append(more(i));
            if (piece.Length >= 64 * 1024)
            {
                await stream.WriteAsync(Encoding.UTF8.GetBytes(piece.ToString()), cancellationToken);
                piece.Clear();
            }
        }
    });
}
