using System.IO.Pipelines;
using System.Text;
using NpmMirror.Feeds;

namespace NpmMirror.Tests.Feeds;

public sealed class ChangesReaderTests
{
    private static readonly Uri Url = new("http://registry.example.org/_changes");

    /// <summary>Everything at once: numbers, strings and arrays as sequences, several bytes a character, escapes, odd ids, deletions, documents.</summary>
    private const string Page = """
        {"results":[
        {"seq":1,"id":"plain","changes":[{"rev":"1-a"}]},
        {"seq":"2-g1AAAA\"[{,","id":"日本語-ñ-😀","changes":[{"rev":"2-b"},{"rev":"1-x"}],"deleted":true},
        {"seq":[3,"g1AAAA]}"],"id":"@scope/na\u00efve","changes":[],"doc":{"a":[{"b":"}]\\"}],"seq":9}},
        {"id":"-","changes":[{"rev":null}],"seq":4},
        {"seq":5,"id":"_design/app","changes":[{"rev":"1-d"}],"deleted":false}
        ],
        "last_seq":[5,"g1 AAAA"],"pending":0}

        """;

    private static readonly ChangeRow[] Rows =
    [
        new(new Sequence("1"), "plain", "1-a", false),
        new(new Sequence("2-g1AAAA\"[{,"), "日本語-ñ-😀", "2-b", true),
        new(new Sequence("[3,\"g1AAAA]}\"]"), "@scope/naïve", null, false),
        new(new Sequence("4"), "-", null, false),
        new(new Sequence("5"), "_design/app", "1-d", false),
    ];

    [Claim("Rows are read from pieces of any length, several bytes a character included",
        With =
        [
            nameof(Reads_lines_however_they_are_cut_in_two),
            $"{nameof(ChangeFeedTests)}.{nameof(ChangeFeedTests.A_change_arrives_while_it_is_waited_for_in_any_pieces)}",
            $"{nameof(Following.PouchServerTests)}.{nameof(Following.PouchServerTests.Follows_a_real_couch_from_its_beginning_and_live)}",
        ],
        Red = "`RowScanner` forgets between pieces that it is within a text: the first was red; `ReadLinesAsync` drops half a line: the second")]
    [Fact]
    public async Task Reads_a_page_however_it_is_cut_in_two()
    {
        var bytes = Encoding.UTF8.GetBytes(Page);
        for (var cut = 0; cut <= bytes.Length; cut++)
        {
            var page = Assert.Single(await ReadPagesAsync([bytes[..cut], bytes[cut..]]));
            Assert.Equal(Rows, page.Rows);
            Assert.Equal(new Sequence("[5,\"g1 AAAA\"]"), page.LastSequence);
            Assert.True(page.IsAtHead);
            Assert.Empty(page.Skipped);
        }
    }

    [Fact]
    public async Task Reads_a_page_that_comes_byte_by_byte() =>
        Assert.Equal(Rows, Assert.Single(await ReadPagesAsync(Encoding.UTF8.GetBytes(Page).Select(one => new[] { one }))).Rows);

    [Fact]
    public async Task Reads_lines_however_they_are_cut_in_two()
    {
        var lines = string.Join('\n', Page.Split('\n')[1..6].Select(line => line.TrimEnd(','))) + "\n\n{\"last_seq\":5}\n";
        var bytes = Encoding.UTF8.GetBytes(lines);
        for (var cut = 0; cut <= bytes.Length; cut++)
        {
            var pages = await ReadLinesAsync([bytes[..cut], bytes[cut..]]);
            Assert.Equal(Rows, pages.SelectMany(page => page.Rows));
            Assert.Equal(new Sequence("5"), pages[^1].LastSequence);
        }
    }

    [Fact]
    public async Task Two_rows_in_one_piece_are_two_rows() =>
        Assert.Equal(["a", "b"], (await ReadLinesAsync(["{\"seq\":1,\"id\":\"a\"}\n{\"seq\":2,\"id\":\"b\"}\n"u8.ToArray()])).SelectMany(page => page.Rows).Select(row => row.Id));

    [Fact]
    public async Task A_heartbeat_is_no_row() => Assert.Empty(await ReadLinesAsync(["\n\n\r\n"u8.ToArray()]));

    [Fact]
    public async Task A_row_that_the_connection_cut_is_left_for_the_next_one() =>
        Assert.Equal(["a"], (await ReadLinesAsync(["{\"seq\":1,\"id\":\"a\"}\n{\"seq\":2,\"id\":\"b\""u8.ToArray()])).SelectMany(page => page.Rows).Select(row => row.Id));

    [Claim("One malformed row stops nothing (never-again 11)",
        With = [$"{nameof(Following.RegistryMonitorTests)}.{nameof(Following.RegistryMonitorTests.A_malformed_row_is_told_and_the_others_are_handled)}"],
        Red = "`ChangeRowParser` throws: the first was red; what was skipped is not noted: the last was red")]
    [Theory]
    [InlineData("""null""")]
    [InlineData("""17""")]
    [InlineData("""[]""")]
    [InlineData("""{"seq":2}""")]
    [InlineData("""{"seq":2,"id":17}""")]
    [InlineData("""{"seq":2,"id":""}""")]
    [InlineData("""{"seq":2,"id":"\ud800"}""")]
    [InlineData("""{"seq":2,"id":"x",}""")]
    [InlineData("""{"seq":2,"id":"x"}}""")]
    [InlineData("""{"seq":2 "id":"x"}""")]
    [InlineData("""{"seq":2,"id":"x","changes":[{"rev":"1-a"}""")]
    [InlineData("""{"seq":2,"id":"x""")]
    [InlineData("""{"seq":2,"id":"x\""")]
    public async Task A_malformed_row_is_reported_and_ends_nothing(string row)
    {
        var text = $$"""
            {"results":[
            {"seq":1,"id":"before","changes":[]},
            {{row}},
            {"seq":3,"id":"after","changes":[]}
            ],
            "last_seq":3}
            """.ReplaceLineEndings("\n");
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var cut = 0; cut <= bytes.Length; cut++)
        {
            var page = Assert.Single(await ReadPagesAsync([bytes[..cut], bytes[cut..]]));
            Assert.Equal(["before", "after"], page.Rows.Select(read => read.Id));
            Assert.Single(page.Skipped);
            Assert.Equal(new Sequence("3"), page.LastSequence);
        }
    }

    [Fact]
    public async Task A_malformed_last_row_does_not_hide_the_end_of_the_page()
    {
        var page = Assert.Single(await ReadPagesAsync(["{\"results\":[\n{\"seq\":1,\"id\":\"a\"},\n{\"seq\":2,\"id\":\"b\n],\n\"last_seq\":2}\n"u8.ToArray()]));
        Assert.Equal(["a"], page.Rows.Select(row => row.Id));
        Assert.Equal(new Sequence("2"), page.LastSequence);
    }

    [Fact]
    public async Task A_malformed_line_is_reported_and_ends_nothing()
    {
        var pages = await ReadLinesAsync(["{\"seq\":1,\"id\":\"a\"}\nnonsense\n{\"seq\":2,\"id\":\"b\"}\n"u8.ToArray()]);
        Assert.Equal(["a", "b"], pages.SelectMany(page => page.Rows).Select(row => row.Id));
        Assert.Contains("nonsense", Assert.Single(pages.SelectMany(page => page.Skipped)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_row_without_a_sequence_never_moves_the_cursor_ahead()
    {
        var page = Assert.Single(await ReadPagesAsync(["{\"results\":[{\"seq\":null,\"id\":\"a\"},{\"seq\":8,\"id\":\"b\"},{\"id\":\"c\"}],\"last_seq\":9}"u8.ToArray()], since: "7"));
        Assert.Equal(["7", "8", "8"], page.Rows.Select(row => row.Sequence.Text));
    }

    [Fact]
    public async Task A_page_that_is_not_full_is_the_head_with_any_rows()
    {
        Assert.False(Assert.Single(await ReadPagesAsync([Encoding.UTF8.GetBytes("{\"results\":[{\"seq\":1,\"id\":\"a\",\"deleted\":true}],\"last_seq\":1}")], limit: 1)).IsAtHead);
        Assert.True(Assert.Single(await ReadPagesAsync([Encoding.UTF8.GetBytes("{\"results\":[{\"seq\":1,\"id\":\"a\"}],\"last_seq\":1}")], limit: 2)).IsAtHead);
        Assert.True(Assert.Single(await ReadPagesAsync([Encoding.UTF8.GetBytes("{\"results\":[{\"seq\":1,\"id\":\"a\"}],\"last_seq\":1,\"pending\":0}")], limit: 1)).IsAtHead);
    }

    [Claim("A page that was cut moves no cursor",
        With = [nameof(A_page_cut_anywhere_is_a_transient_failure_and_not_a_malformed_page)],
        Red = "ChangesReader.ReadPagesAsync ends without asking whether rows and envelope came to their end")]
    [Theory]
    [InlineData("<html>")]
    [InlineData("hello")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"error":"not_found","reason":"no_db_file"}""")]
    [InlineData("""{"results":{},"last_seq":1}""")]
    public async Task An_answer_that_is_no_page_moves_nothing(string text) => Assert.Equal((MirrorFault.UpstreamMalformed, true), await FailureAsync(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public async Task A_page_cut_anywhere_is_a_transient_failure_and_not_a_malformed_page()
    {
        const string whole = """{"results":[{"seq":1,"id":"ä"},{"seq":"2-x","id":"b","changes":[{"rev":"1-a"}],"deleted":true}],"last_seq":[2,"x"],"pending":0}""";
        var bytes = Encoding.UTF8.GetBytes(whole);
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.Equal((MirrorFault.UpstreamUnavailable, true), await FailureAsync(bytes[..length]));
        }
    }

    [Fact]
    public async Task A_server_that_ignores_the_limit_is_read_in_pages()
    {
        var rows = string.Join(",\n", Enumerable.Range(1, 1000).Select(i => $$"""{"seq":{{i}},"id":"p{{i}}"}"""));
        var pages = await ReadPagesAsync(Encoding.UTF8.GetBytes($"{{\"results\":[{rows}],\"last_seq\":1000}}").Chunk(100), limit: 10);
        Assert.True(pages.Count > 10);
        Assert.Equal(Enumerable.Range(1, 1000).Select(i => $"p{i}"), pages.SelectMany(page => page.Rows).Select(row => row.Id));
        Assert.All(pages[..^1], page => Assert.Equal(page.Rows[^1].Sequence, page.LastSequence));
        Assert.All(pages, page => Assert.False(page.IsAtHead));
    }

    [Fact]
    public async Task A_row_over_the_limit_is_skipped_without_being_held()
    {
        var row = $$"""{"seq":2,"id":"big","doc":"{{new string('x', RowScanner.RowMaxBytes)}}"}""";
        var page = Assert.Single(await ReadPagesAsync(Encoding.UTF8.GetBytes($"{{\"results\":[{{\"seq\":1,\"id\":\"a\"}},{row},{{\"seq\":3,\"id\":\"c\"}}],\"last_seq\":3}}").Chunk(65536)));
        Assert.Equal(["a", "c"], page.Rows.Select(read => read.Id));
        Assert.Single(page.Skipped);
        await Assert.ThrowsAsync<MirrorException>(() => ReadLinesAsync(Encoding.UTF8.GetBytes(row).Chunk(65536)));
    }

    [Fact]
    public async Task A_list_is_read_however_it_is_cut_in_two()
    {
        var bytes = Encoding.UTF8.GetBytes("""{"total_rows":3,"offset":0,"rows":[{"id":"ä","key":"ä","value":{"rev":"1-a"}},{"id":"b","value":{}},{"nothing":1}]}""");
        for (var cut = 0; cut <= bytes.Length; cut++)
        {
            var pipe = await PipeAsync([bytes[..cut], bytes[cut..]]);
            Assert.Equal([new ListedPackage("ä", "1-a"), new ListedPackage("b", null)], await ChangesReader.ReadListAsync(pipe, Url, TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken));
        }
    }

    private static async Task<List<ChangesPage>> ReadPagesAsync(IEnumerable<byte[]> pieces, int limit = 1000, string since = "0")
    {
        var pages = new List<ChangesPage>();
        await foreach (var page in ChangesReader.ReadPagesAsync(await PipeAsync(pieces), new Sequence(since), limit, Url, TestContext.Current.CancellationToken))
        {
            pages.Add(page);
        }

        return pages;
    }

    private static async Task<List<ChangesPage>> ReadLinesAsync(IEnumerable<byte[]> pieces)
    {
        var pages = new List<ChangesPage>();
        await foreach (var page in ChangesReader.ReadLinesAsync(await PipeAsync(pieces), Sequence.Zero, Url, TestContext.Current.CancellationToken))
        {
            pages.Add(page);
        }

        return pages;
    }

    /// <summary>A pipe that gives each piece by itself.</summary>
    private static async Task<(MirrorFault Fault, bool IsTransient)> FailureAsync(byte[] page)
    {
        var failure = await Assert.ThrowsAsync<MirrorException>(() => ReadPagesAsync([page]));
        return (failure.Fault, failure.IsTransient);
    }

    private static Task<PipeReader> PipeAsync(IEnumerable<byte[]> pieces) =>
        Task.FromResult(PipeReader.Create(new PiecesStream(pieces)));

    private sealed class PiecesStream(IEnumerable<byte[]> pieces) : MemoryStream
    {
        private readonly Queue<byte[]> _pieces = new(pieces.Where(piece => piece.Length > 0).SelectMany(piece => piece.Chunk(2048)));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (!_pieces.TryDequeue(out var piece))
            {
                return ValueTask.FromResult(0);
            }

            piece.CopyTo(buffer);
            return ValueTask.FromResult(piece.Length);
        }
    }
}
