using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class ForwardingTests
{
    private const string Bulk = "-/npm/v1/security/advisories/bulk";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_audit_is_answered_by_the_registry(bool isGzip)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Advisories["ms"] = new JsonArray(new JsonObject { ["id"] = 1, ["title"] = "bad", ["severity"] = "high", ["vulnerable_versions"] = "<2" });
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var answer = await PostAsync(mirror, "{\"ms\":[\"1.0.0\"]}", isGzip);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains("bad", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Claim("A hanging audit of an install ends after 3 s, then at once, never `{}`",
        With = [nameof(Without_the_registry_the_answer_is_trouble_never_an_empty_one)],
        Red = "`ForwardingEndpoint` gives an install as long as any audit, or `Forwarder` does not note that it was late, or asks again while it is noted: the first was red")]
    [Fact]
    public async Task A_hanging_audit_is_given_up_after_three_seconds_and_then_at_once()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Knobs.Add(new FakeRule { Path = "*", Hangs = true });
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        var begun = TimeProvider.System.GetTimestamp();
        using var first = await PostAsync(mirror, "{}", isGzip: false, ("npm-command", "install"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, first.StatusCode);
        Assert.InRange(TimeProvider.System.GetElapsedTime(begun).TotalSeconds, 2.5, 8);

        begun = TimeProvider.System.GetTimestamp();
        using var second = await PostAsync(mirror, "{}", isGzip: false, ("npm-command", "install"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, second.StatusCode);
        Assert.InRange(TimeProvider.System.GetElapsedTime(begun).TotalSeconds, 0, 2);
    }

    [Theory]
    [InlineData("POST", "-/npm/v1/security/advisories/bulk")]
    [InlineData("GET", "-/v1/search?text=ms")]
    [InlineData("GET", "-/npm/v1/keys")]
    [InlineData("GET", "-/npm/v1/attestations/ms@1.0.0")]
    public async Task Without_the_registry_the_answer_is_trouble_never_an_empty_one(string method, string path)
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Content = method == "POST" ? new StringContent("{}") : null;
        using var answer = await mirror.SendAsync(request);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.NotNull(answer.Headers.RetryAfter);
        Assert.Contains("error", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(200)]
    public async Task An_answer_that_is_not_the_registrys_json_is_a_failure(int status)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Knobs.Fail("*", status, retryAfter: "0");
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var answer = await PostAsync(mirror, "{}", isGzip: false);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
    }

    [Claim("A registry without keys, audit or search is reported at once as having none",
        Red = "an answer that is no JSON is always trouble")]
    [Theory]
    [InlineData(404)]
    [InlineData(405)]
    public async Task A_registry_without_a_service_is_told_at_once_and_not_as_trouble(int status)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Knobs.Fail("*", status);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var audit = await PostAsync(mirror, "{}", isGzip: false);
        Assert.Equal(HttpStatusCode.NotFound, audit.StatusCode);
        using var keys = await mirror.GetAsync("-/npm/v1/keys");
        Assert.Equal(HttpStatusCode.NotFound, keys.StatusCode);
    }

    [Fact]
    public async Task Absent_keys_are_passed_on_and_not_kept()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Knobs.Fail("/-/npm/v1/keys", 404, timesMax: 1);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var absent = await mirror.GetAsync("-/npm/v1/keys");
        Assert.Equal(HttpStatusCode.NotFound, absent.StatusCode);
        Assert.Contains("keyid", await mirror.TextAsync("-/npm/v1/keys"), StringComparison.Ordinal);
    }

    [Claim("A gzip bomb is refused before it is forwarded",
        Red = "`AuditBody.FitsAsync` takes any length")]
    [Fact]
    public async Task A_gzip_bomb_is_refused_before_it_is_forwarded()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var bomb = await PostAsync(mirror, new string(' ', 40_000_000), isGzip: true);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, bomb.StatusCode);
        Assert.Empty(registry.Requests.All);
    }

    [Fact]
    public async Task A_body_unlike_its_content_coding_is_refused()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, Bulk) { Content = new StringContent("{}") };
        request.Content.Headers.ContentEncoding.Add("gzip");
        using var answer = await mirror.SendAsync(request);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task The_retired_audits_say_so()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "-/npm/v1/security/audits/quick") { Content = new StringContent("{}") };
        using var answer = await mirror.SendAsync(request);
        Assert.Equal(HttpStatusCode.Gone, answer.StatusCode);
    }

    [Fact]
    public async Task Keys_and_attestations_once_seen_are_served_without_the_registry()
    {
        var store = new NpmMirror.Storage.MemoryStore(TimeProvider.System);
        string keys, attestations;
        await using (var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken))
        {
            registry.Publish(new FakePackage("@s/ms").Version("1.0.0"));
            registry.Attestations["@s/ms@1.0.0"] = new JsonObject { ["attestations"] = new JsonArray() };
            await using var mirror = await ServedMirror.StartAsync(store, registry.Url);
            await mirror.TextAsync("@s%2fms");
            keys = await mirror.TextAsync("-/npm/v1/keys");
            attestations = await mirror.TextAsync("-/npm/v1/attestations/@s%2fms@1.0.0");
        }

        await using var alone = await ServedMirror.StartAsync(store);
        Assert.Equal(keys, await alone.TextAsync("-/npm/v1/keys"));
        Assert.Equal(attestations, await alone.TextAsync("-/npm/v1/attestations/@s/ms@1.0.0"));
        Assert.Contains("keyid", keys);
    }

    [Fact]
    public async Task An_absent_attestation_is_passed_on_and_not_kept()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        using var absent = await mirror.GetAsync("-/npm/v1/attestations/ms@1.0.0");
        Assert.Equal(HttpStatusCode.NotFound, absent.StatusCode);
        registry.Attestations["ms@1.0.0"] = new JsonObject { ["attestations"] = new JsonArray() };
        Assert.Contains("attestations", await mirror.TextAsync("-/npm/v1/attestations/ms@1.0.0"));
    }

    [Fact]
    public async Task Search_is_answered_by_the_registry()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        Assert.Contains("objects", await mirror.TextAsync("-/v1/search?text=ms&size=20"));
        Assert.Equal("/-/v1/search?text=ms&size=20", registry.Requests.Last("/-/v1/search")!.Target);
    }

    private static async Task<HttpResponseMessage> PostAsync(ServedMirror mirror, string json, bool isGzip, params (string, string)[] headers)
    {
        var body = Encoding.UTF8.GetBytes(json);
        if (isGzip)
        {
            using var coded = new MemoryStream();
            await using (var gzip = new GZipStream(coded, CompressionLevel.Fastest))
            {
                gzip.Write(body);
            }

            body = coded.ToArray();
        }

        using var request = new HttpRequestMessage(HttpMethod.Post, Bulk) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        if (isGzip)
        {
            request.Content.Headers.ContentEncoding.Add("gzip");
        }

        return await mirror.SendAsync(request, headers);
    }
}
