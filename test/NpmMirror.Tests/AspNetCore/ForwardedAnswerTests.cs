using System.IO.Compression;
using System.Net;
using System.Text;
using NpmMirror.Storage;
using NpmMirror.Tests.Upstream;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Of an upstream's answers to searches, audits, keys and attestations only its JSON is passed on and kept.</summary>
public sealed class ForwardedAnswerTests
{
    private const string Audit = "-/npm/v1/security/advisories/bulk";
    private const string Search = "-/v1/search?text=ms";
    private const string Keys = "-/npm/v1/keys";
    private const string Attestations = "-/npm/v1/attestations/ms@1.0.0";

    private static readonly (string Path, string Answer)[] Right =
    [
        (Audit, """{"ms":[{"id":1}]}"""),
        (Search, """{"objects":[],"total":0}"""),
        (Keys, """{"keys":[{"keyid":"k"}]}"""),
        (Attestations, """{"attestations":[{"bundle":{}}]}"""),
    ];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Services => new(Right);

    public static TheoryData<string, int> Failures => new(
        from service in Right
        from status in (int[])[202, 204, 205, 206, 300, 301, 302, 304, 307, 401, 403, 407, 408, 425, 429, 500, 501, 503]
        select (service.Path, status));

    public static TheoryData<string, string> WrongBodies => new(
        from service in Right
        from body in (string[])
        [
            "", " ", "<html>busy</html>", "\"busy\"", "[]", "null", "1", service.Answer[..^1], service.Answer + "}", service.Answer + service.Answer, """{"message":"try later"}""", """{"keys":{},"objects":{},"attestations":null,"ms":1}""", "{\"a\":[\"\u00ff\"]}",
        ]
        select (service.Path, body));

    [Claim("A forwarded answer is the upstream's JSON in the form of its service or a 503, and only such JSON is kept",
        With =
        [
            nameof(An_answer_is_judged_by_its_body_and_not_by_its_type),
            nameof(A_status_that_is_no_answer_is_trouble_and_nothing_is_kept),
            nameof(A_body_that_is_no_answer_is_trouble_and_nothing_is_kept),
            nameof(A_refusal_of_the_request_is_passed_on_with_its_json),
            $"{nameof(ForwardingTests)}.{nameof(ForwardingTests.Absent_keys_are_passed_on_and_not_kept)}",
        ],
        Red = "`Forwarder` passes on every body, or no refusal: the fifth was red; any JSON: the fourth; it looks at no status: the third; `KeptDocuments` keeps keys of any status: the last")]
    [Theory]
    [MemberData(nameof(Services))]
    public async Task An_answer_is_passed_on_as_it_is(string path, string answer)
    {
        await using var peer = Peer(200, Encoding.UTF8.GetBytes(answer));
        Assert.Equal((HttpStatusCode.OK, answer), await AskAsync(peer, path));
    }

    [Theory]
    [MemberData(nameof(Services))]
    public async Task An_answer_is_judged_by_its_body_and_not_by_its_type(string path, string answer)
    {
        await using var peer = Peer(200, [.. Encoding.UTF8.Preamble, .. Encoding.UTF8.GetBytes(answer)], "Content-Type: text/plain\r\n");
        Assert.Equal((HttpStatusCode.OK, answer), await AskAsync(peer, path));
    }

    [Claim("Undeclared gzip is undone, and a cut one is a failure",
        With = [nameof(Gzip_inside_of_declared_gzip_is_undone), nameof(Gzip_that_was_cut_is_trouble)],
        Red = "`UndeclaredGzip` undoes nothing: the second was red; it takes a cut for the end: the last")]
    [Theory]
    [MemberData(nameof(Services))]
    public async Task Gzip_that_is_not_declared_is_undone(string path, string answer)
    {
        await using var peer = Peer(200, Gzip(answer));
        Assert.Equal((HttpStatusCode.OK, answer), await AskAsync(peer, path));
    }

    [Theory]
    [MemberData(nameof(Services))]
    public async Task Gzip_inside_of_declared_gzip_is_undone(string path, string answer)
    {
        await using var peer = Peer(200, Gzip(Gzip(answer)), "Content-Type: application/json\r\nContent-Encoding: GZIP\r\n");
        Assert.Equal((HttpStatusCode.OK, answer), await AskAsync(peer, path));
    }

    [Theory]
    [MemberData(nameof(Services))]
    public async Task Gzip_that_was_cut_is_trouble(string path, string answer)
    {
        // With the last byte alone the JSON is whole, and nothing but gzip's own end is missing.
        foreach (var missing in (int[])[1, 8, 9])
        {
            await using var peer = Peer(200, Gzip(answer)[..^missing]);
            Assert.Equal((missing, HttpStatusCode.ServiceUnavailable), (missing, (await AskAsync(peer, path)).Status));
        }
    }

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task A_status_that_is_no_answer_is_trouble_and_nothing_is_kept(string path, int status)
    {
        var answer = Right.Single(service => service.Path == path).Answer;
        await using var peer = Peer(status, status is 204 or 205 or 304 ? [] : Encoding.UTF8.GetBytes(answer));
        await AssertTroubleAsync(peer, path);
    }

    [Theory]
    [MemberData(nameof(WrongBodies))]
    public async Task A_body_that_is_no_answer_is_trouble_and_nothing_is_kept(string path, string body)
    {
        // Latin-1: the last of them is no UTF-8.
        await using var peer = Peer(200, Encoding.Latin1.GetBytes(body));
        await AssertTroubleAsync(peer, path);
    }

    [Fact]
    public async Task A_refusal_of_the_request_is_passed_on_with_its_json()
    {
        await using var peer = Peer(400, "{\"error\":\"no text\"}"u8.ToArray());
        Assert.Equal((HttpStatusCode.BadRequest, "{\"error\":\"no text\"}"), await AskAsync(peer, Search));
        await using var mute = Peer(400, "<html>"u8.ToArray());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await AskAsync(mute, Search)).Status);
    }

    [Fact]
    public async Task How_long_the_upstream_asks_to_wait_is_told_on()
    {
        await using var peer = Peer(429, "{}"u8.ToArray(), "Retry-After: 77\r\n");
        await using var mirror = await ServedMirror.StartAsync(upstream: peer.Url);
        using var answer = await mirror.GetAsync(Search);
        Assert.Equal(TimeSpan.FromSeconds(77), answer.Headers.RetryAfter!.Delta);
    }

    [Fact]
    public async Task Large_answers_are_held_in_the_budget_and_given_back()
    {
        var large = Encoding.UTF8.GetBytes($$"""{"objects":["{{new string('x', 8_000_000)}}"]}""");
        await using var peer = Peer(200, large);
        await using var mirror = await ServedMirror.StartAsync(upstream: peer.Url, configure: options => options.BudgetBytes = 10_000_000);
        var budget = mirror.Mirror.Budget;
        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => mirror.Client.GetByteArrayAsync(new Uri(Search, UriKind.Relative), Cancelled)));
        Assert.All(answers, answer => Assert.Equal(large.Length, answer.Length));
        await Eventually.Async(() => budget.UsedBytes == 0);
    }

    private static async Task AssertTroubleAsync(LoopbackPeer peer, string path)
    {
        await using var store = new MemoryStore(TimeProvider.System);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await AskAsync(peer, path, store)).Status);
        Assert.Empty(await store.Kept.ListKeptAsync("", Cancelled).ToListAsync(Cancelled));
    }

    private static async Task<(HttpStatusCode Status, string Body)> AskAsync(LoopbackPeer peer, string path, IMetadataStore? store = null)
    {
        await using var mirror = await ServedMirror.StartAsync(store, peer.Url);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var request = new HttpRequestMessage(path == Audit ? HttpMethod.Post : HttpMethod.Get, path) { Content = path == Audit ? new StringContent("{\"ms\":[\"1.0.0\"]}") : null };
        using var answer = await mirror.SendAsync(request);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancelled));
    }

    private static LoopbackPeer Peer(int status, byte[] body, string headers = "Content-Type: application/json\r\n") => new(async (request, stream, cancellationToken) =>
    {
        await stream.ReadExactlyAsync(new byte[int.Parse(request["Content-Length"] ?? "0", System.Globalization.CultureInfo.InvariantCulture)], cancellationToken);
        var length = status is 204 or 304 ? "" : $"Content-Length: {body.Length}\r\n";
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} X\r\n{headers}{length}Connection: close\r\n\r\n"), cancellationToken);
        await stream.WriteAsync(body, cancellationToken);
    });

    private static byte[] Gzip(string text) => Gzip(Encoding.UTF8.GetBytes(text));

    private static byte[] Gzip(byte[] bytes)
    {
        using var coded = new MemoryStream();
        using (var gzip = new GZipStream(coded, CompressionLevel.Fastest))
        {
            gzip.Write(bytes);
        }

        return coded.ToArray();
    }
}
