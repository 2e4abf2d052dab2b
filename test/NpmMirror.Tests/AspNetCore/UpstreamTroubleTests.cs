using System.Net;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

public sealed class UpstreamTroubleTests
{
    [Claim("Upstream trouble is never 404 and never remembered (never-again 4)",
        Red = "`ReadThrough` remembers trouble as absence")]
    [Theory]
    [InlineData(500)]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(429)]
    [InlineData(401)]
    public async Task Upstream_trouble_is_never_not_found_and_never_remembered(int status)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        var trouble = registry.Knobs.Fail("/ms", status);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        foreach (var path in new[] { "ms", "ms/latest", "ms/-/ms-1.0.0.tgz", "-/package/ms/dist-tags" })
        {
            using var failed = await mirror.GetAsync(path);
            Assert.True(failed.StatusCode is HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable, $"{path}: {failed.StatusCode}");
            Assert.NotNull(failed.Headers.RetryAfter);
        }

        registry.Knobs.Remove(trouble);
        await Eventually.Async(() => mirror.GetAsync("ms").GetAwaiter().GetResult().StatusCode == HttpStatusCode.OK);
    }

    [Claim("Trouble upstream never becomes \"not found\", and only a 404 is remembered, for a short time",
        With =
        [
            nameof(An_unknown_package_is_not_found_in_both_forms_and_asked_for_once),
            $"{nameof(Syncing.ReadThroughTests)}.{nameof(Syncing.ReadThroughTests.A_404_of_the_upstream_is_remembered_for_a_minute_and_trouble_never)}",
            $"{nameof(Syncing.ReadThroughTests)}.{nameof(Syncing.ReadThroughTests.A_feed_row_and_a_refresh_end_a_remembered_404)}",
        ],
        Red = "`NegativeAnswers` never forgets: the third was red")]
    [Fact]
    public async Task Held_packages_are_served_while_the_upstream_is_away()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        Assert.Contains("1.1.0", await mirror.TextAsync("ms"));
        using var unknown = await mirror.GetAsync("unknown");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, unknown.StatusCode);
    }

    [Fact]
    public async Task An_unknown_package_is_not_found_in_both_forms_and_asked_for_once()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        foreach (var accept in new[] { "application/vnd.npm.install-v1+json", "application/json" })
        {
            using var answer = await mirror.GetAsync("unknown", ("Accept", accept));
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            Assert.Equal("application/json", answer.Content.Headers.ContentType!.ToString());
            Assert.Equal("no-cache", answer.Headers.CacheControl!.ToString());
            Assert.Equal(["Accept", "Accept-Encoding"], answer.Headers.Vary);
        }

        Assert.Equal(1, registry.Requests.CountOf("/unknown"));
    }

    [Claim("No Content-Encoding on a tarball (never-again 7)",
        Red = "a Content-Encoding is set")]
    [Fact]
    public async Task A_tarball_never_has_a_content_encoding()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        for (var round = 0; round < 2; round++)
        {
            using var answer = await mirror.GetAsync("ms/-/ms-1.0.0.tgz", ("Accept-Encoding", "gzip, deflate, br"));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Empty(answer.Content.Headers.ContentEncoding);
            Assert.Equal("application/octet-stream", answer.Content.Headers.ContentType!.ToString());
            Assert.Equal([0x1f, 0x8b], (await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken))[..2]);
        }
    }
}
