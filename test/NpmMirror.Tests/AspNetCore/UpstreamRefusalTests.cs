using System.Net;
using NpmMirror.Storage;
using NpmMirror.Testing;
using NpmMirror.Tests.Upstream;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>An upstream that refuses for good, as one with a quarantine or a licence check does: clients that heard 502 would try for a minute.</summary>
public sealed class UpstreamRefusalTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A final refusal of the upstream (a 4xx that is neither absence nor about credentials nor temporary) is told with its status and reason and without `Retry-After`; 401, 407 and those about the mirror's own request (413, 421, 431 …) are not the client's",
        With =
        [
            nameof(A_final_refusal_of_a_tarball_is_told_as_it_came_and_from_memory),
            nameof(A_refusal_of_the_mirrors_own_credentials_is_no_answer_to_the_client),
            nameof(A_refusal_of_the_mirrors_own_request_is_no_answer_to_the_client),
            nameof(Held_packages_are_served_as_before),
        ])]
    [Theory]
    [InlineData(402)]
    [InlineData(403)]
    [InlineData(423)]
    [InlineData(400)]
    [InlineData(409)]
    public async Task A_final_refusal_of_a_package_is_told_as_it_came_with_its_reason(int status)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(status, "{\"error\":\"Blocked: malware \\u001b[31m" + new string('x', 5000) + "\"}"));
        await using var mirror = await ServedMirror.StartAsync(upstream: peer.Url);
        foreach (var path in new[] { "ms", "ms/latest", "ms/-/ms-1.0.0.tgz", "-/package/ms/dist-tags" })
        {
            using var answer = await mirror.GetAsync(path);
            Assert.Equal(status, (int)answer.StatusCode);
            Assert.Null(answer.Headers.RetryAfter);
            var text = await answer.Content.ReadAsStringAsync(Cancelled);
            Assert.Contains("Blocked: malware", text, StringComparison.Ordinal);
            Assert.DoesNotContain("\u001b", text, StringComparison.Ordinal);
            Assert.True(text.Length < 2000);
        }
    }

    [Theory]
    [InlineData(402)]
    [InlineData(403)]
    [InlineData(423)]
    public async Task A_final_refusal_of_a_tarball_is_told_as_it_came_and_from_memory(int status)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        var refusal = registry.Knobs.Fail("*.tgz", status);
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        for (var round = 0; round < 2; round++)
        {
            using var answer = await mirror.GetAsync("ms/-/ms-1.0.0.tgz");
            Assert.Equal(status, (int)answer.StatusCode);
            Assert.Null(answer.Headers.RetryAfter);
        }

        registry.Knobs.Remove(refusal);
        await Eventually.Async(async () => (await mirror.GetAsync("ms/-/ms-1.0.0.tgz")).StatusCode == HttpStatusCode.OK);
    }

    [Theory]
    [InlineData(401)]
    [InlineData(407)]
    public async Task A_refusal_of_the_mirrors_own_credentials_is_no_answer_to_the_client(int status)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(status, """{"error":"who are you"}"""));
        await using var mirror = await ServedMirror.StartAsync(upstream: peer.Url);
        using var answer = await mirror.GetAsync("ms");
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        Assert.NotNull(answer.Headers.RetryAfter);
    }

    [Theory]
    [InlineData(411)]
    [InlineData(413)]
    [InlineData(416)]
    [InlineData(417)]
    [InlineData(421)]
    [InlineData(426)]
    [InlineData(431)]
    public async Task A_refusal_of_the_mirrors_own_request_is_no_answer_to_the_client(int status)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(status, """{"error":"not like this"}"""));
        await using var mirror = await ServedMirror.StartAsync(upstream: peer.Url);
        foreach (var path in new[] { "ms", "ms/latest", "ms/-/ms-1.0.0.tgz", "-/package/ms/dist-tags" })
        {
            using var answer = await mirror.GetAsync(path);
            Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
            Assert.NotNull(answer.Headers.RetryAfter);
        }
    }

    [Fact]
    public async Task Held_packages_are_served_as_before()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.Publish(new FakePackage("ms").Version("1.0.0"));
        await using var store = new MemoryStore(TimeProvider.System);
        await using var mirror = await ServedMirror.StartAsync(store, registry.Url, options => options.Ttl = TimeSpan.Zero);
        Assert.Contains("1.0.0", await mirror.TextAsync("ms"), StringComparison.Ordinal);
        using (var tarball = await mirror.GetAsync("ms/-/ms-1.0.0.tgz"))
        {
            Assert.Equal(HttpStatusCode.OK, tarball.StatusCode);
            await tarball.Content.ReadAsByteArrayAsync(Cancelled);
        }

        await Eventually.Async(async () => await store.Tarballs.FindTarballAsync(PackageName.Parse("ms"), "ms-1.0.0.tgz", Cancelled) is { State: TarballState.Held });
        registry.Knobs.Fail("*", 403);
        Assert.Contains("1.0.0", await mirror.TextAsync("ms"), StringComparison.Ordinal);
        using var held = await mirror.GetAsync("ms/-/ms-1.0.0.tgz");
        Assert.Equal(HttpStatusCode.OK, held.StatusCode);
    }
}
