using System.Net;
using System.Text.RegularExpressions;
using NpmMirror.Testing;
using NpmMirror.Tests.Cli;

namespace NpmMirror.Tests.S3;

/// <summary>The program with its tarballs in a bucket.</summary>
[Trait("Duration", "long")]
public sealed partial class S3MirrorTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private FakeRegistry _upstream = null!;
    private FakeS3 _bucket = null!;

    private string[] Place => [$"--store.blobs=s3://{_bucket.Bucket}/npm", $"--store.blobOptions.endpoint={_bucket.Url}", $"--store.blobOptions.accessKey={_bucket.AccessKey}", $"--store.blobOptions.secretKey={_bucket.SecretKey}", "--store.blobOptions.cacheBytes=0"];

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync();
        _bucket = await FakeS3.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        await _bucket.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("`store.blobs=s3://bucket` keeps a mirror's tarballs in a bucket: fetched, verified, served by range, collected; the secret is shown by nothing")]
    [Fact]
    public async Task A_mirror_keeps_its_tarballs_in_a_bucket()
    {
        var package = new FakePackage("left-pad").Version("1.0.0").Version("1.1.0");
        _upstream.Publish(package);
        await RunAsync(["sync", $"--upstream={_upstream.Url}", "--metadata=all", "--tarballs=eager", .. Place]);
        Assert.Equal(2, _bucket.Objects.Count);
        Assert.All(_bucket.Objects.Keys, key => Assert.StartsWith("npm/blobs/", key, StringComparison.Ordinal));

        Assert.Contains("2 tarballs", await RunAsync(["verify", .. Place]), StringComparison.Ordinal);
        Assert.DoesNotContain(_bucket.SecretKey, await RunAsync(["config", .. Place]), StringComparison.Ordinal);

        await using (var serve = CliProcess.Start(_folder.Path, ["serve", "--listen=http://127.0.0.1:0", $"--upstream={_upstream.Url}", .. Place]))
        {
            using var client = new HttpClient { BaseAddress = new Uri(await AddressAsync(serve)) };
            var bytes = await client.GetByteArrayAsync("npm/left-pad/-/left-pad-1.0.0.tgz", TestContext.Current.CancellationToken);
            Assert.Equal(_upstream.Tarballs["/left-pad/-/left-pad-1.0.0.tgz"], bytes);
            using var part = new HttpRequestMessage(HttpMethod.Get, "npm/left-pad/-/left-pad-1.0.0.tgz") { Headers = { Range = new(10, 19) } };
            using var answer = await client.SendAsync(part, TestContext.Current.CancellationToken);
            Assert.Equal(bytes[10..20], await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        }
    }

    [Claim("With `redirect` a client gets a stored tarball from the bucket by a signed address, and no other one",
        Red = "`TarballEndpoint` does not ask whether the bytes are promised: the last look was red")]
    [Fact]
    public async Task Clients_are_sent_to_the_bucket_for_bytes_that_they_can_check()
    {
        _upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
        _upstream.Publish(new FakePackage("bare").Version("1.0.0", version => (version.HasIntegrity, version.HasShasum) = (false, false)));
        await using var serve = CliProcess.Start(_folder.Path, ["serve", "--listen=http://127.0.0.1:0", $"--upstream={_upstream.Url}", .. Place, "--store.blobOptions.redirect=true"]);
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = new Uri(await AddressAsync(serve)) };
        foreach (var name in new[] { "left-pad", "bare" })
        {
            // From the upstream the first time.
            Assert.Equal(_upstream.Tarballs[$"/{name}/-/{name}-1.0.0.tgz"], await client.GetByteArrayAsync($"npm/{name}/-/{name}-1.0.0.tgz", TestContext.Current.CancellationToken));
        }

        using var sent = await client.GetAsync("npm/left-pad/-/left-pad-1.0.0.tgz", TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.Found, "no-store", null), (sent.StatusCode, sent.Headers.CacheControl!.ToString(), sent.Headers.ETag));
        Assert.Equal(_upstream.Tarballs["/left-pad/-/left-pad-1.0.0.tgz"], await client.GetByteArrayAsync(sent.Headers.Location, TestContext.Current.CancellationToken));
        using var changed = await client.GetAsync(sent.Headers.Location!.AbsoluteUri.Replace("Expires=6", "Expires=7", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Forbidden, changed.StatusCode);
        using var asked = await client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "npm/left-pad/-/left-pad-1.0.0.tgz"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, asked.StatusCode);
        using var bare = await client.GetAsync("npm/bare/-/bare-1.0.0.tgz", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, bare.StatusCode);
    }

    private async Task<string> RunAsync(string[] arguments)
    {
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, arguments);
        Assert.True(code == 0, errors);
        return output;
    }

    private static async Task<string> AddressAsync(CliProcess serve) => Address().Match(await serve.WaitForOutputAsync("Serving ")).Value;

    [GeneratedRegex(@"http://127\.0\.0\.1:\d+/")]
    private static partial Regex Address();
}
