using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class HostileTargetTests
{
    public static TheoryData<string> Targets =>
    [
        "/npm/..", "/npm/../../etc/passwd", "/npm/%2e%2e", "/npm/%2e%2e/%2e%2e/etc/passwd", "/npm/..%2f..%2fetc", "/npm/.", "/npm/a%00b", "/npm/a%0d%0aX-Evil:1",
        "/npm/a%", "/npm/a%2", "/npm/%zz", "/npm/%c3%28", "/npm/%ed%a0%80", "/npm/a%5cb", "/npm/@scope", "/npm/@scope/..", "/npm/@scope%2f..", "/npm/@%2fx",
        "/npm/ms/-/..%2f..%2fpasswd", "/npm/ms/-/%2e%2e", "/npm/ms/..", "/npm/ms/-/", "/npm/ms/-/a/b/c.tgz", "/npm/-/npm/v1/attestations/..%2f..@1", "/npm/-/package/..%2fx/dist-tags",
        "/npm/_local/x", "/npm/-/nothing/here", "/npm/<script>alert(1)</script>", "/npm/%3Cscript%3E", "/npm/-/v1/%22%3Cscript%3E", "/npm/-/log/<script>",
    ];

    [Claim("Compatibility E, a request's path or query is never shown unescaped",
        With = [$"{nameof(OperationsTests)}.{nameof(OperationsTests.The_front_page_shows_nothing_that_the_request_brought)}"],
        Red = "`RegistryErrors` writes its sentence unescaped: the first was red; the front page shows the query, or its own address unescaped: the last")]
    [Claim("Hostile targets are refused and never passed on; outside the mount a 404 says where the registry is",
        With = [nameof(An_over_long_target_is_refused), nameof(A_package_asked_for_beside_the_mount_is_told_where_the_registry_is)],
        Red = "`RouteParser` does not compare with `PathMaxChars`")]
    [Claim("A hostile target (`..`, encoded slashes, NUL, bad percent, odd methods) is refused and never reaches the upstream",
        Red = "RouteParser.Parse takes a decoded `.` or `..` as a segment")]
    [Theory]
    [MemberData(nameof(Targets))]
    public async Task A_hostile_target_is_refused_and_never_passed_on(string target)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        foreach (var method in new[] { "GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW" })
        {
            var answer = await mirror.RawAsync($"{method} {target} HTTP/1.1\r\nHost: {mirror.Address.Authority}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            Assert.Matches("^HTTP/1.1 (400|404|405) ", answer);
            Assert.DoesNotContain("<script>", answer);
        }

        Assert.Empty(registry.Requests.All);
    }

    [Claim("Over-long targets are refused",
        Red = "`RouteParser` does not compare with `PathMaxChars`")]
    [Fact]
    public async Task An_over_long_target_is_refused()
    {
        await using var mirror = await ServedMirror.StartAsync();
        Assert.StartsWith("HTTP/1.1 414 ", await mirror.RawGetAsync("/npm/" + new string('a', 5_000)));
        Assert.StartsWith("HTTP/1.1 414 ", await mirror.RawGetAsync("/npm/" + new string('a', 50_000)));
        Assert.StartsWith("HTTP/1.1 404 ", await mirror.RawGetAsync("/npm/" + new string('a', 600)));
    }

    [Theory]
    [InlineData("PUT", "/npm/ms")]
    [InlineData("PUT", "/npm/ms/-rev/1-abc")]
    [InlineData("DELETE", "/npm/ms/-/ms-1.0.0.tgz/-rev/1-abc")]
    [InlineData("PUT", "/npm/-/package/ms/dist-tags/beta")]
    [InlineData("DELETE", "/npm/-/package/ms/dist-tags/beta")]
    [InlineData("PUT", "/npm/-/user/org.couchdb.user:x")]
    [InlineData("DELETE", "/npm/-/user/token/abc")]
    [InlineData("POST", "/npm/_bulk_docs")]
    [InlineData("PATCH", "/npm/ms")]
    public async Task Publishing_is_refused_with_a_sentence(string method, string path)
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = new StringContent("{}") };
        using var answer = await mirror.SendAsync(request);
        Assert.Equal(405, (int)answer.StatusCode);
        Assert.Equal(["GET", "HEAD"], answer.Content.Headers.Allow);
        Assert.Contains("read-only mirror", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_large_publish_reads_its_refusal()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Put, "ms") { Content = new ByteArrayContent(new byte[20_000_000]) };
        using var answer = await mirror.SendAsync(request);
        Assert.Equal(405, (int)answer.StatusCode);
    }

    [Fact]
    public async Task A_package_asked_for_beside_the_mount_is_told_where_the_registry_is()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var answer = await mirror.GetAsync("/ms");
        Assert.Equal(404, (int)answer.StatusCode);
        Assert.Contains($"{mirror.Address}npm/", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Questions_about_accounts_are_not_answered()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var answer = await mirror.GetAsync("-/whoami");
        Assert.Equal(401, (int)answer.StatusCode);
    }

    [Fact]
    public async Task A_whole_url_as_target_is_read_as_its_path()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        Assert.StartsWith("HTTP/1.1 200 ", await mirror.RawGetAsync($"http://{mirror.Address.Authority}/npm/ms"));
    }

    [Fact]
    public async Task Several_mounts_serve_one_registry_each_with_its_own_urls()
    {
        await using var mirror = await ServedMirror.StartAsync(mounts: ["/", "/npm"]);
        await mirror.PutAsync("ms", Documents.Of("ms"));
        Assert.Contains($"{mirror.Address}npm/ms/-/", await mirror.TextAsync("/npm/ms"));
        Assert.Contains($"{mirror.Address}ms/-/", await mirror.TextAsync("/ms"));
        Assert.Equal("pong", await mirror.TextAsync("/-/api/ping"));
    }
}
