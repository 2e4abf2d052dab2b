using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.Options;
using NpmMirror.Tests.Packuments;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

/// <summary>Any answer of an upstream causes only failures of the mirror's own kind.</summary>
public sealed class HostileAnswerTests(ITestOutputHelper output)
{
    private const int Rounds = 200;

    private static readonly int[] Statuses = [200, 200, 200, 203, 204, 206, 301, 302, 307, 304, 400, 401, 404, 410, 429, 451, 500, 503, 508, 599, 700, 999];

    private static readonly string[] Names =
    [
        "Retry-After", "Location", "Content-Length", "Age", "Last-Modified", "ETag", "Date", "Expires", "Content-Type", "Content-Encoding", "Content-Range", "Transfer-Encoding",
        "Connection", "Cache-Control", "WWW-Authenticate", "Set-Cookie", "Alt-Svc", "Trailer", "Link", "npm-mirror-instance",
    ];

    private static readonly string[] Values =
    [
        "", " ", "NaN", "-Infinity", "Infinity", "-1", "0", "1e999", "99999999999999999999", "9223372036854775807", "9999-12-31T23:59:59.9999999Z", "0001-01-01T00:00:00+14:00",
        "Fri, 31 Dec 9999 23:59:59 GMT", "http://127.0.0.1:0/", "http://127.0.0.1:99999/", "http://[::1", "http://", "//:0", "?", "http://a b/", "http://xn--/", "http://%41/", "javascript:x", "file:///etc/passwd",
        "\u00e4\u00ff", "\"", "gzip", "br", "deflate", "gzip,br", "gzip,gzip,gzip", "identity", "chunked", "gzip, chunked", "close", "keep-alive", "text/html", "application/json; charset=\u00e4", ";;;===", "bytes */*",
        "a,b,,c", "\u0001",
    ];

    // Half a surrogate pair, depths, numbers and texts in wrong places, and cut or empty bodies.
    private static readonly string[] Bodies =
    [
        "", "{", "null", "[]", "\"\\ud800\"", "1e999", "{}", "{\"error\":\"\\udfff\"}", "{\"update_seq\":\"\\ud800\",\"db_name\":\"x\"}", "{\"update_seq\":1e999,\"doc_count\":1e999,\"uuid\":\"\\udc00\"}",
        "{\"update_seq\":5,\"engine\":\"\\ud800\"}", "{\"update_seq\":[[[]]],\"doc_count\":-1}", "{\"\\ud800\":\"\\ud800\",\"update_seq\":{}}", "{\"results\":[],\"last_seq\":\"\\ud800\"}", "{\"results\":[],\"last_seq\":{},\"pending\":1e999}",
        "{\"results\":[{\"seq\":\"\\ud800\",\"id\":\"\\ud800\"},{\"seq\":-1,\"id\":\"a\",\"changes\":[[[{\"rev\":5}]]]}],\"last_seq\":1}", "{\"rows\":[{\"id\":\"\\udc00\",\"value\":{\"rev\":\"\\ud800\"}},{\"id\":5}]}", "{\"rows\":[}],\"rows\":[",
        "{\"removed\":{\"kind\":\"\\ud800\",\"at\":\"9999-12-31T23:59:59-14:00\",\"rev\":\"1-a\"}}", "{\"hash\":\"\\ud800\"}", "<html>", "\ufeff{}", "\u0000", new string('[', 100_000), new string('{', 5_000), "{\"a\":" + new string('[', 3_000) + new string(']', 3_000) + "}",
    ];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("Requests to the upstream throw only a MirrorException, with any answer",
        Red = "`UpstreamEdge.RunAsync` lets everything pass")]
    [Fact]
    public async Task Nothing_but_a_mirrors_failure_leaves_the_upstream()
    {
        var random = new Random(FuzzSeed.Next(output));
        var answer = "";
        await using var peer = new LoopbackPeer((_, stream, cancellationToken) => stream.WriteAsync(Encoding.Latin1.GetBytes(answer), cancellationToken).AsTask());
        using var client = RegistryClientTests.Client(peer, options => options with { Timeout = TimeSpan.FromSeconds(30) });
        for (var round = 0; round < Rounds; round++)
        {
            answer = NextAnswer(random);
            await AskEverythingAsync(client, peer.Url, answer);
        }
    }

    [Theory]
    [InlineData("http://127.0.0.1:99999/x")]
    [InlineData("http://127.0.0.1:0/x")]
    [InlineData("http://")]
    [InlineData("http://[::1")]
    [InlineData("//:0")]
    public async Task A_location_that_is_no_address_is_malformed(string location)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(302, "", $"Location: {location}\r\n"));
        using var client = RegistryClientTests.Client(peer);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client));
        Assert.Equal(MirrorFault.UpstreamMalformed, failure.Fault);
        Assert.Contains("no address", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_validator_that_cannot_be_sent_back_is_forgotten()
    {
        await using var peer = new LoopbackPeer((_, stream, cancellationToken) =>
            stream.WriteAsync(Encoding.Latin1.GetBytes(LoopbackPeer.Answer(200, """{"name":"x"}""", "ETag: \"\u00e4\"\r\nLast-Modified: \u00fcbermorgen\r\n")), cancellationToken).AsTask());
        using var client = RegistryClientTests.Client(peer);
        var fetched = Assert.IsType<PackumentAnswer.Fetched>(await GetAsync(client));
        using var _ = fetched.Document;
        Assert.True(fetched.Validators.IsEmpty);
    }

    [Theory]
    [InlineData("9223372036854775807")]
    [InlineData("99999999999999999999")]
    [InlineData("-1")]
    [InlineData("x")]
    public async Task A_length_that_is_claimed_takes_no_memory(string length)
    {
        await using var peer = new LoopbackPeer(_ => $"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{{\"name\":\"x\"}}");
        using var client = RegistryClientTests.Client(peer);
        try
        {
            using var _ = Assert.IsType<PackumentAnswer.Fetched>(await GetAsync(client)).Document;
        }
        catch (MirrorException failure)
        {
            Assert.True(failure.IsTransient);
        }
    }

    private static string NextAnswer(Random random)
    {
        var status = Statuses[random.Next(Statuses.Length)];
        var body = Bodies[random.Next(Bodies.Length)];
        var headers = new StringBuilder();
        for (var i = random.Next(4); i >= 0; i--)
        {
            headers.Append(Names[random.Next(Names.Length)]).Append(": ").Append(Values[random.Next(Values.Length)]).Append("\r\n");
        }

        // A repetition would otherwise end most rounds at the length.
        var length = random.Next(4) == 0 ? "" : $"Content-Length: {Encoding.Latin1.GetByteCount(body)}\r\n";
        return $"HTTP/1.1 {status} X\r\n{headers}{length}Connection: close\r\n\r\n{body}";
    }

    private static async Task AskEverythingAsync(RegistryClient client, Uri url, string answer)
    {
        var live = new LiveChangeFeed(client, url, new FeedOptions { Mode = FeedMode.Poll });
        var paged = new PagedChangeFeed(client, url, new FeedOptions());
        Func<Task>[] questions =
        [
            async () => ((await client.GetPackumentAsync(PackageName.Parse("x"), new Validators("\"e\"", null), isCacheBusted: false, Cancelled)) as PackumentAnswer.Fetched)?.Document.Dispose(),
            async () => await DrainAsync(await client.OpenTarballAsync(new Uri(url, "x.tgz"), Cancelled)),
            async () => (await client.ForwardAsync(RequestPurpose.Search, HttpMethod.Get, "/-/v1/search", null, TimeSpan.FromSeconds(30), Cancelled)).Dispose(),
            () => live.GetInfoAsync(Cancelled),
            () => live.ReadAsync(Sequence.Zero, null, Cancelled).ToListAsync(Cancelled).AsTask(),
            () => paged.ReadAsync(Sequence.Zero, null, Cancelled).ToListAsync(Cancelled).AsTask(),
            () => live.ReadRowsAsync(Sequence.Zero, 10, Cancelled),
            () => live.ReadNewestAsync(10, Cancelled),
            () => live.IsListedAsync("x", Cancelled),
            () => live.ReadLogHashAsync(1, Cancelled),
            () => new FeedProbe(client, new FeedOptions(), NullLogger.Instance).FindAsync("auto", Cancelled),
            () => UpstreamSelfCheck.CheckAsync(client, Cancelled),
        ];
        for (var i = 0; i < questions.Length; i++)
        {
            try
            {
                await questions[i]();
            }
            catch (MirrorException failure)
            {
                Assert.True(failure.RetryAfter is not { } wait || (wait >= TimeSpan.Zero && wait <= TimeSpan.FromDays(1)), answer);
            }
            catch (Exception exception)
            {
                Assert.Fail($"Question {i} brought {exception} of this answer:\n{answer[..Math.Min(answer.Length, 500)]}");
            }
        }
    }

    private static async Task DrainAsync(TarballAnswer answer)
    {
        if (answer is TarballAnswer.Opened opened)
        {
            using var _ = opened.Response;
            await opened.Body.CopyToAsync(Stream.Null, Cancelled);
        }
    }

    private static Task<PackumentAnswer> GetAsync(RegistryClient client) => client.GetPackumentAsync(PackageName.Parse("x"), default, isCacheBusted: false, Cancelled);
}
