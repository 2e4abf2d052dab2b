using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Tarballs;
using NpmMirror.Tests.Upstream;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Tarballs;

/// <summary>A packument is written by strangers: the requests that its tarball addresses can cause, and the receivers of the mirror's token.</summary>
public sealed class TarballFenceTests : IAsyncDisposable
{
    private const string Token = "Bearer must-not-travel";

    private static readonly byte[] Bytes = TarballScene.Bytes(1_000);

    private readonly LoopbackPeer _foreign = new(TarballScene.Whole(Bytes), address: "127.0.0.2");
    private readonly List<IDisposable> _owned = [];

    private string? _redirectTo;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync()
    {
        _owned.ForEach(owned => owned.Dispose());
        return _foreign.DisposeAsync();
    }

    [Claim("The upstream's token is sent to the upstream's own origin only",
        With =
        [
            nameof(A_host_in_tarballHosts_is_asked_without_the_token),
            nameof(A_redirect_to_an_allowed_host_is_followed_without_the_token),
            nameof(A_redirect_from_https_to_http_carries_no_token),
            nameof(The_token_does_not_come_back_by_way_of_a_foreign_host),
        ],
        Red = "UpstreamTransport sends the upstream's header with every hop")]
    [Fact]
    public async Task The_upstream_itself_is_asked_with_its_token()
    {
        await using var upstream = Upstream();
        Assert.Equal(Bytes, await FetchAsync(upstream.Url, new Uri(upstream.Url, "left-pad/-/left-pad-1.0.0.tgz")));
        Assert.Equal(Token, Assert.Single(upstream.Requests)["Authorization"]);
    }

    [Claim("Tarballs come only from the upstream's own host and tarballHosts, also after redirects",
        With = [nameof(Another_port_of_the_upstreams_host_is_a_foreign_host), nameof(A_redirect_to_a_foreign_host_is_not_followed)],
        Red = "SourceFence.CheckTarball allows any host, or checks only the first hop")]
    [Fact]
    public async Task A_foreign_host_is_not_asked()
    {
        await using var upstream = Upstream();
        await AssertForbiddenAsync(upstream.Url, new Uri(_foreign.Url, "a.tgz"));
        Assert.Empty(_foreign.Requests);
    }

    [Fact]
    public async Task Another_port_of_the_upstreams_host_is_a_foreign_host()
    {
        await using var upstream = Upstream();
        await using var neighbour = new LoopbackPeer(TarballScene.Whole(Bytes));
        await AssertForbiddenAsync(upstream.Url, new Uri(neighbour.Url, "a.tgz"));
        Assert.Empty(neighbour.Requests);
    }

    [Fact]
    public async Task Another_name_for_this_machine_is_a_foreign_host()
    {
        await using var upstream = Upstream();
        await AssertForbiddenAsync(upstream.Url, new Uri($"http://localhost:{_foreign.Port}/a.tgz"));
        Assert.Empty(_foreign.Requests);
    }

    [Fact]
    public async Task A_host_in_tarballHosts_is_asked_without_the_token()
    {
        await using var upstream = Upstream();
        Assert.Equal(Bytes, await FetchAsync(upstream.Url, new Uri(_foreign.Url, "a.tgz"), "127.0.0.2"));
        Assert.Null(Assert.Single(_foreign.Requests)["Authorization"]);
    }

    [Fact]
    public async Task A_port_in_tarballHosts_is_that_port_and_no_other()
    {
        await using var upstream = Upstream();
        await AssertForbiddenAsync(upstream.Url, new Uri(_foreign.Url, "a.tgz"), $"127.0.0.2:{_foreign.Port + 1}");
        Assert.Equal(Bytes, await FetchAsync(upstream.Url, new Uri(_foreign.Url, "a.tgz"), $"127.0.0.2:{_foreign.Port}"));
    }

    [Fact]
    public async Task A_redirect_to_a_foreign_host_is_not_followed()
    {
        await using var upstream = Upstream();
        _redirectTo = new Uri(_foreign.Url, "a.tgz").AbsoluteUri;
        await AssertForbiddenAsync(upstream.Url, new Uri(upstream.Url, "a.tgz"));
        Assert.Single(upstream.Requests);
        Assert.Empty(_foreign.Requests);
    }

    [Fact]
    public async Task A_redirect_to_an_allowed_host_is_followed_without_the_token()
    {
        await using var upstream = Upstream();
        _redirectTo = new Uri(_foreign.Url, "a.tgz").AbsoluteUri;
        Assert.Equal(Bytes, await FetchAsync(upstream.Url, new Uri(upstream.Url, "a.tgz"), "127.0.0.2"));
        Assert.Equal(Token, Assert.Single(upstream.Requests)["Authorization"]);
        Assert.Null(Assert.Single(_foreign.Requests)["Authorization"]);
    }

    [Fact]
    public async Task A_redirect_from_https_to_http_carries_no_token()
    {
        using var key = ECDsa.Create();
        using var certificate = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        await using var upstream = new LoopbackPeer(
            RedirectAsync,
            async stream =>
            {
                var secure = new SslStream(stream);
                await secure.AuthenticateAsServerAsync(certificate);
                return secure;
            });
        var url = new UriBuilder(upstream.Url) { Scheme = Uri.UriSchemeHttps }.Uri;
        _redirectTo = new Uri(_foreign.Url, "a.tgz").AbsoluteUri;
        Assert.Equal(Bytes, await FetchAsync(url, new Uri(url, "a.tgz"), "127.0.0.2"));
        Assert.Equal(Token, Assert.Single(upstream.Requests)["Authorization"]);
        Assert.Null(Assert.Single(_foreign.Requests)["Authorization"]);
    }

    [Fact]
    public async Task The_token_does_not_come_back_by_way_of_a_foreign_host()
    {
        // A request that was sent away and back could be sent to any path with a token meant for one path.
        await using var upstream = Upstream();
        await using var hop = new LoopbackPeer(
            async (_, stream, token) => await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 302 X\r\nLocation: {upstream.Url}b.tgz\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), token), address: "127.0.0.3");
        Assert.Equal(Bytes, await FetchAsync(upstream.Url, new Uri(hop.Url, "a.tgz"), "127.0.0.3"));
        Assert.Null(Assert.Single(upstream.Requests)["Authorization"]);
    }

    [Claim("Private, link-local and loopback addresses are not asked unless the upstream is one, also if a name resolves to them later",
        With = [nameof(Loopback_is_not_asked_for_an_upstream_elsewhere), nameof(A_name_that_now_points_inwards_is_not_asked)],
        Red = "SourceFence.ResolveAsync does not refuse")]
    [Theory]
    [InlineData("http://10.0.0.1/a.tgz")]
    [InlineData("http://172.16.0.1/a.tgz")]
    [InlineData("http://192.168.0.1/a.tgz")]
    [InlineData("http://169.254.169.254/latest/meta-data/")]
    [InlineData("http://[fd00::1]/a.tgz")]
    [InlineData("http://[fe80::1]/a.tgz")]
    [InlineData("http://[::ffff:10.0.0.1]/a.tgz")]
    [InlineData("http://[64:ff9b::a00:1]/a.tgz")]
    [InlineData("http://167772161/a.tgz")]
    public async Task A_private_address_is_not_asked_even_when_allowed_by_name(string url)
    {
        // The upstream is on loopback, so loopback is no news; any other inner network is.
        await using var upstream = Upstream();
        await AssertForbiddenAsync(upstream.Url, new Uri(url), new Uri(url).IdnHost.Contains(':', StringComparison.Ordinal) ? $"[{new Uri(url).IdnHost}]" : new Uri(url).Host);
    }

    [Theory]
    [InlineData("http://127.0.0.2:{0}/a.tgz")]
    [InlineData("http://2130706434:{0}/a.tgz")]
    [InlineData("http://0x7f.0.0.2:{0}/a.tgz")]
    [InlineData("http://[::ffff:127.0.0.2]:{0}/a.tgz")]
    [InlineData("http://localhost:{0}/a.tgz")]
    public async Task Loopback_is_not_asked_for_an_upstream_elsewhere(string format)
    {
        // 192.0.2.1 belongs to no host (RFC 5737) and is never asked: only the tarball's own address counts.
        var url = new Uri(string.Format(System.Globalization.CultureInfo.InvariantCulture, format, _foreign.Port));
        await AssertForbiddenAsync(new Uri("http://192.0.2.1/"), url, url.HostNameType == UriHostNameType.IPv6 ? url.Host : url.IdnHost);
        Assert.Empty(_foreign.Requests);
    }

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("ftp://127.0.0.1/a.tgz")]
    [InlineData("gopher://127.0.0.1/a.tgz")]
    [InlineData("http://user:secret@127.0.0.2/a.tgz")]
    public async Task Only_plain_http_addresses_are_asked(string url)
    {
        await using var upstream = Upstream();
        await AssertForbiddenAsync(upstream.Url, new Uri(url), "127.0.0.1", "127.0.0.2");
    }

    [Theory]
    [InlineData("http:///left-pad-1.0.0.tgz")]
    [InlineData("//")]
    [InlineData("http://")]
    [InlineData("")]
    public async Task A_tarball_address_that_is_none_is_reported(string url)
    {
        await using var upstream = Upstream();
        await using var downloads = Start(upstream.Url, out _);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => OpenAsync(downloads, url));
        Assert.True(failure.Fault is MirrorFault.UpstreamMalformed or MirrorFault.ForbiddenSource, failure.Message);
    }

    [Fact]
    public async Task A_redirect_without_end_ends()
    {
        await using var upstream = Upstream();
        _redirectTo = new Uri(upstream.Url, "a.tgz").AbsoluteUri;
        await using var downloads = Start(upstream.Url, out _);
        Assert.Equal(MirrorFault.UpstreamMalformed, (await Assert.ThrowsAsync<MirrorException>(() => OpenAsync(downloads, _redirectTo))).Fault);
        Assert.InRange(upstream.Requests.Count, 2, 10);
    }

    [Fact]
    public async Task A_name_that_now_points_inwards_is_not_asked()
    {
        var answers = new Queue<string>(["203.0.114.7", "127.0.0.1"]);
        var fence = new SourceFence(new Uri("http://192.88.98.1/"), ["cdn.example.org"], (host, _) => Task.FromResult<IPAddress[]>(
            [IPAddress.Parse(host == "cdn.example.org" ? answers.Dequeue() : host)]));
        Assert.Equal("203.0.114.7", Assert.Single(await fence.ResolveAsync("cdn.example.org", Cancelled)).ToString());
        Assert.Equal(MirrorFault.ForbiddenSource, (await Assert.ThrowsAsync<MirrorException>(() => fence.ResolveAsync("cdn.example.org", Cancelled))).Fault);
    }

    private LoopbackPeer Upstream() => new((request, stream, token) => _redirectTo is null ? TarballScene.Whole(Bytes)(request, stream, token) : RedirectAsync(request, stream, token));

    private async Task RedirectAsync(PeerRequest request, Stream stream, CancellationToken token) =>
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 302 X\r\nLocation: {_redirectTo}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), token);

    private async Task AssertForbiddenAsync(Uri upstream, Uri url, params string[] tarballHosts)
    {
        await using var downloads = Start(upstream, out var blobs, tarballHosts);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => OpenAsync(downloads, url.OriginalString));
        Assert.True(failure.Fault == MirrorFault.ForbiddenSource, failure.ToString());
        Assert.DoesNotContain("secret", failure.Message, StringComparison.Ordinal);
        Assert.Empty(await blobs.ListAsync(Cancelled).ToListAsync(Cancelled));
    }

    private async Task<byte[]> FetchAsync(Uri upstream, Uri url, params string[] tarballHosts)
    {
        await using var downloads = Start(upstream, out _, tarballHosts);
        await using var reading = Assert.IsType<TarballResult.Opened>(await OpenAsync(downloads, url.AbsoluteUri)).Reading;
        return await TarballScene.ReadToEndAsync(reading);
    }

    private TarballDownloads Start(Uri upstream, out MemoryBlobStore blobs, params string[] tarballHosts)
    {
        var budget = new ByteBudget(1_000_000);
        var options = new RegistryClientOptions
        {
            BaseUrl = upstream,
            TarballHosts = tarballHosts,
            Credentials = new RegistryCredentials([KeyValuePair.Create($"//{upstream.Authority}/", Token)]),
            ConnectTimeout = TimeSpan.FromSeconds(5),
            IsTlsStrict = false,
        };
        var client = new RegistryClient(options, budget, TimeProvider.System, NullLogger.Instance);
        blobs = new MemoryBlobStore(TimeProvider.System);
        _owned.AddRange([client, budget]);
        return new TarballDownloads(new MemoryStore(TimeProvider.System), blobs, client, new MirrorOptions(), TimeProvider.System, NullLogger<TarballDownloads>.Instance);
    }

    private static Task<TarballResult> OpenAsync(TarballDownloads downloads, string url) =>
        downloads.OpenAsync(TarballScene.Package, new("1.0.0", default, default, default, 0, null), url, TarballScene.PromiseOf(Bytes), Cancelled);
}
