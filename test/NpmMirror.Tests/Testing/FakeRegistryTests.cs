using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Testing;

public sealed class FakeRegistryTests : IAsyncLifetime
{
    private readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(20) };
    private FakeRegistry _registry = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _registry.DisposeAsync();
    }

    [Fact]
    public async Task Serves_the_form_that_was_asked_for()
    {
        _registry.Publish(new FakePackage("@scope/ms").Version("1.0.0", version => version.Scripts["install"] = "true"));

        var full = await GetJsonAsync("/@scope%2fms");
        var abbreviated = await GetJsonAsync("/@scope/ms", "application/vnd.npm.install-v1+json; q=1.0, */*");

        Assert.Equal(_registry.Revision("@scope/ms"), (string?)full["_rev"]);
        Assert.NotNull(full["versions"]!["1.0.0"]!["scripts"]);
        Assert.Null(abbreviated["versions"]!["1.0.0"]!["scripts"]);
        Assert.True((bool?)abbreviated["versions"]!["1.0.0"]!["hasInstallScript"]);
        Assert.NotNull(abbreviated["modified"]);
    }

    [Fact]
    public async Task Answers_304_to_the_validators_it_gave_and_only_of_that_form()
    {
        _registry.Publish(new FakePackage("ms").Version("1.0.0"));
        using var first = await _client.GetAsync(new Uri(_registry.Url, "ms"), Cancelled);

        Assert.Equal(HttpStatusCode.NotModified, await StatusAsync("/ms", ("If-None-Match", first.Headers.ETag!.Tag)));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/ms", ("If-None-Match", first.Headers.ETag!.Tag), ("Accept", "application/vnd.npm.install-v1+json")));
        _registry.Touch("ms");
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/ms", ("If-None-Match", first.Headers.ETag!.Tag)));
    }

    [Claim("Tarballs of the fake registry have the hashes and signatures their packument promises",
        Red = "the promise is the hash of other bytes, or the signature is over another text")]
    [Fact]
    public async Task Tarballs_match_their_promises_and_the_signature_holds()
    {
        _registry.Publish(new FakePackage("ms").Version("1.0.0"));
        var dist = (await GetJsonAsync("/ms"))["versions"]!["1.0.0"]!["dist"]!;
        var tarball = await _client.GetByteArrayAsync(new Uri((string)dist["tarball"]!), Cancelled);
        var integrity = "sha512-" + Convert.ToBase64String(SHA512.HashData(tarball));

        var key = (await GetJsonAsync("/-/npm/v1/keys"))["keys"]!.AsArray().Single(candidate => (string?)candidate!["keyid"] == (string?)dist["signatures"]![0]!["keyid"])!;
        using var verifier = ECDsa.Create();
        verifier.ImportSubjectPublicKeyInfo(Convert.FromBase64String((string)key["key"]!), out _);

        Assert.Equal(integrity, (string?)dist["integrity"]);
        Assert.True(verifier.VerifyData(Encoding.UTF8.GetBytes($"ms@1.0.0:{integrity}"), Convert.FromBase64String((string)dist["signatures"]![0]!["sig"]!), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
    }

    [Fact]
    public async Task Serves_ranges_of_tarballs()
    {
        _registry.Publish(new FakePackage("ms").Version("1.0.0"));
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_registry.Url, "ms/-/ms-1.0.0.tgz"));
        request.Headers.Add("Range", "bytes=10-19");
        using var response = await _client.SendAsync(request, Cancelled);

        Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
        Assert.Equal(_registry.Tarballs["/ms/-/ms-1.0.0.tgz"][10..20], await response.Content.ReadAsByteArrayAsync(Cancelled));
    }

    [Fact]
    public async Task Every_change_bumps_the_revision_and_the_feed_tells_each_id_once()
    {
        _registry.Publish(new FakePackage("ms").Version("1.0.0"));
        _registry.Publish(new FakePackage("debug").Version("1.0.0"));
        _registry.PublishVersion("ms", "1.1.0");
        _registry.Deprecate("ms", "1.0.0", "old");
        var tagged = _registry.Tag("ms", "next", "1.1.0");
        _registry.Delete("debug");

        var page = await GetJsonAsync("/_changes?since=0");

        Assert.Equal("4", tagged.Revision.Split('-')[0]);
        Assert.Equal(["ms", "debug"], page["results"]!.AsArray().Select(row => (string)row!["id"]!));
        Assert.True((bool?)page["results"]![1]!["deleted"]);
        Assert.Equal(6, (int?)page["last_seq"]);
        Assert.Equal("1.1.0", (string?)(await GetJsonAsync("/ms"))["dist-tags"]!["latest"]);
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync("/debug"));
    }

    [Fact]
    public async Task A_longpoll_is_answered_by_the_next_change()
    {
        var waiting = GetJsonAsync("/_changes?since=0&feed=longpoll&heartbeat=50");
        await _registry.Requests.WaitForAsync(request => request.Path == "/_changes", Cancelled);
        _registry.Publish(new FakePackage("ms").Version("1.0.0"));

        Assert.Equal("ms", (string?)(await waiting)["results"]![0]!["id"]);
    }

    [Claim("The paged dialect refuses what npm's replication service refuses",
        Red = "the fake's dialect refuses nothing")]
    [Theory]
    [InlineData("include_docs=true")]
    [InlineData("feed=continuous")]
    [InlineData("since=now")]
    [InlineData("heartbeat=1000")]
    [InlineData("skip=1")]
    [InlineData("update_seq=true")]
    [InlineData("limit=20000")]
    public async Task The_paged_dialect_refuses_the_requests_that_the_real_one_does(string query)
    {
        _registry.Knobs.Feed = FakeFeedDialect.NpmPaged;
        using var response = await _client.GetAsync(new Uri(_registry.Url, $"registry/_changes?{query}"), Cancelled);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("\"Bad Request\"", await response.Content.ReadAsStringAsync(Cancelled));
    }

    [Theory]
    [InlineData(FakeSequenceStyle.Text)]
    [InlineData(FakeSequenceStyle.Array)]
    public async Task Sequences_that_are_no_numbers_are_accepted_back_only_verbatim(FakeSequenceStyle style)
    {
        _registry.Knobs.Sequences = style;
        _registry.Publish(new FakePackage("a").Version("1.0.0"));
        _registry.Publish(new FakePackage("b").Version("1.0.0"));
        var sequence = (await GetJsonAsync("/_changes"))["results"]![0]!["seq"]!;
        var text = sequence is JsonArray ? sequence.ToJsonString() : (string)sequence!;

        Assert.Equal("b", (string?)(await GetJsonAsync($"/_changes?since={Uri.EscapeDataString(text)}"))["results"]![0]!["id"]);
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync("/_changes?since=1"));
    }

    [Fact]
    public async Task A_gate_holds_answers_back_until_it_is_opened()
    {
        _registry.Publish(new FakePackage("ms").Version("1.0.0"));
        using var gate = _registry.Knobs.Hold("/ms/-/*");
        var first = StatusAsync("/ms/-/ms-1.0.0.tgz");
        var second = StatusAsync("/ms/-/ms-1.0.0.tgz");
        await gate.WaitForAsync(2, Cancelled);

        Assert.False(first.IsCompleted || second.IsCompleted);
        gate.Open();
        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK], await Task.WhenAll(first, second));
    }

    [Fact]
    public async Task Fails_as_often_as_the_rule_says()
    {
        _registry.Publish(new FakePackage("ms").Version("1.0.0"));
        _registry.Knobs.Fail("/ms", 429, timesMax: 1, retryAfter: "3");
        using var response = await _client.GetAsync(new Uri(_registry.Url, "ms"), Cancelled);

        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(3), response.Headers.RetryAfter!.Delta);
        Assert.Equal("text/html", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/ms"));
    }

    [Theory]
    [InlineData(FakeFraming.ContentLength, 100, "HTTP/1.1 200 OK", 100)]
    [InlineData(FakeFraming.Chunked, 100, "HTTP/1.1 200 OK", 100)]
    [InlineData(FakeFraming.CloseDelimited, 100, "HTTP/1.0 200 OK", 100)]
    [InlineData(FakeFraming.CloseDelimited, null, "HTTP/1.0 200 OK", 1_000)]
    public async Task Cuts_bodies_where_the_rule_says(FakeFraming framing, int? cutAfterBytes, string statusLine, int bodyBytes)
    {
        _registry.Tarballs["/ms/-/ms-1.0.0.tgz"] = new byte[1_000];
        _registry.Knobs.Add(new FakeRule { Path = "*.tgz", Framing = framing, CutAfterBytes = cutAfterBytes });

        var answer = await RawGetAsync("/ms/-/ms-1.0.0.tgz");

        Assert.StartsWith(statusLine, answer, StringComparison.Ordinal);
        Assert.Equal(bodyBytes, answer.Count(c => c == '\0'));
    }

    [Fact]
    public async Task A_truncated_gzip_body_has_a_length_that_fits()
    {
        _registry.Publish(new FakePackage("ms").Version("1.0.0"));
        _registry.Knobs.Add(new FakeRule { Path = "/ms", TruncatesGzip = true });
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_registry.Url, "ms"));
        request.Headers.Add("Accept-Encoding", "gzip");
        using var response = await _client.SendAsync(request, Cancelled);
        await using var gzip = new GZipStream(await response.Content.ReadAsStreamAsync(Cancelled), CompressionMode.Decompress);

        Assert.Equal("gzip", response.Content.Headers.ContentEncoding.Single());
        Assert.ThrowsAny<System.Text.Json.JsonException>(() => JsonNode.Parse(ReadWhatComes(gzip)));
    }

    [Fact]
    public async Task A_lagging_packument_is_the_one_before()
    {
        var first = _registry.Publish(new FakePackage("ms").Version("1.0.0"));
        _registry.PublishVersion("ms", "1.1.0");
        _registry.Knobs.Lagging["ms"] = true;

        Assert.Equal(first.Revision, (string?)(await GetJsonAsync("/ms"))["_rev"]);
    }

    [Fact]
    public async Task Notes_the_requests_that_it_got()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_registry.Url, "@a%2fb?x=1"));
        request.Headers.Add("Authorization", "Bearer secret");
        using var response = await _client.SendAsync(request, Cancelled);

        var noted = Assert.Single(_registry.Requests.All);
        Assert.Equal(("/@a%2fb?x=1", "/@a/b", "Bearer secret", 404), (noted.Target, noted.Path, noted.Header("authorization"), noted.Status));
    }

    [Fact]
    public async Task Another_process_can_change_it()
    {
        async Task PostAsync(string what, string json)
        {
            using var response = await _client.PostAsync(new Uri(_registry.Url, $"-/fake/{what}"), new StringContent(json), Cancelled);
            Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Cancelled));
        }

        await PostAsync("publish", """{"name":"ms","version":"1.0.0"}""");
        await PostAsync("publish", """{"name":"ms","version":"1.1.0"}""");
        await PostAsync("knobs", """{"hasGzip":false,"feed":"None"}""");
        await PostAsync("rules", """{"path":"/debug","status":503}""");

        Assert.Equal("1.1.0", (string?)(await GetJsonAsync("/ms"))["dist-tags"]!["latest"]);
        Assert.Equal(FakeFeedDialect.None, _registry.Knobs.Feed);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync("/debug"));
    }

    private static byte[] ReadWhatComes(Stream stream)
    {
        using var bytes = new MemoryStream();
        try
        {
            stream.CopyTo(bytes);
        }
        catch (InvalidDataException)
        {
            // The cut is noticed by some readers at its end, by others not at all.
        }

        return bytes.ToArray();
    }

    private async Task<JsonNode> GetJsonAsync(string path, string? accept = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_registry.Url.AbsoluteUri.TrimEnd('/') + path));
        if (accept is not null)
        {
            request.Headers.TryAddWithoutValidation("Accept", accept);
        }

        using var response = await _client.SendAsync(request, Cancelled);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancelled))!;
    }

    private async Task<HttpStatusCode> StatusAsync(string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(_registry.Url.AbsoluteUri.TrimEnd('/') + path));
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await _client.SendAsync(request, Cancelled);
        return response.StatusCode;
    }

    private async Task<string> RawGetAsync(string path)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, _registry.Url.Port, Cancelled);
        await socket.SendAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {_registry.Url.Authority}\r\n\r\n"), Cancelled);
        await using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream, Encoding.Latin1);
        return await reader.ReadToEndAsync(Cancelled).WaitAsync(TimeSpan.FromSeconds(10), Cancelled);
    }
}
