using System.Net;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

/// <summary>The requests that a stranger's packument may cause.</summary>
public sealed class TarballSourceTests
{
    [Fact]
    public async Task Opens_a_tarball_of_the_upstreams_host_as_it_lies_there()
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(200, "tarball"));
        using var client = RegistryClientTests.Client(peer);
        var opened = Assert.IsType<TarballAnswer.Opened>(await OpenAsync(client, $"{peer.Url}x/-/x-1.0.0.tgz"));
        using var _ = opened.Response;
        using var reader = new StreamReader(opened.Body);
        Assert.Equal("tarball", await reader.ReadToEndAsync(TestContext.Current.CancellationToken));
        Assert.Equal(7, opened.LengthBytes);
        Assert.Equal("identity", Assert.Single(peer.Requests)["Accept-Encoding"]);
    }

    [Theory]
    [InlineData(404)]
    [InlineData(410)]
    [InlineData(451)]
    public async Task A_tarball_that_is_not_there_is_an_answer(int status)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(status, """{"error":"no"}"""));
        using var client = RegistryClientTests.Client(peer);
        Assert.Equal(new TarballAnswer.Absent(status, "“no”"), await OpenAsync(client, $"{peer.Url}x.tgz"));
    }

    [Fact]
    public async Task A_tarball_cut_short_ends_as_an_error()
    {
        await using var peer = new LoopbackPeer(_ => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
        using var client = RegistryClientTests.Client(peer);
        var opened = Assert.IsType<TarballAnswer.Opened>(await OpenAsync(client, $"{peer.Url}x.tgz"));
        using var _ = opened.Response;
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => opened.Body.CopyToAsync(Stream.Null, TestContext.Current.CancellationToken))).IsTransient);
    }

    [Claim("A tarball over the limit is refused, told or not",
        Red = "UpstreamBody.CheckLimits does not compare with LongestBytes")]
    [Theory]
    [InlineData("Content-Length: 2000\r\n")]
    [InlineData("")]
    public async Task A_tarball_over_the_limit_is_refused(string length)
    {
        await using var peer = new LoopbackPeer(_ => $"HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n{new string('x', 2000)}");
        using var client = RegistryClientTests.Client(peer, options => options with { TarballMaxBytes = 1000 });
        var failure = await Assert.ThrowsAsync<MirrorException>(async () =>
        {
            var opened = Assert.IsType<TarballAnswer.Opened>(await OpenAsync(client, $"{peer.Url}x.tgz"));
            using var _ = opened.Response;
            await opened.Body.CopyToAsync(Stream.Null, TestContext.Current.CancellationToken);
        });
        Assert.Equal(MirrorFault.TooLarge, failure.Fault);
    }

    [Claim("Tarballs come from the upstream's host or tarballHosts only, also after redirects",
        With = [nameof(A_redirect_does_not_lead_out_of_the_fence), nameof(Hosts_match_whole_and_old_http_addresses_of_the_upstream_become_https)],
        Red = "SourceFence.CheckTarball does not look at tarballHosts")]
    [Theory]
    [InlineData("http://tarballs.example.org/x.tgz")]
    [InlineData("http://127.0.0.1:1/x.tgz")]
    [InlineData("http://127.0.0.1/x.tgz")]
    [InlineData("http://localhost:1/x.tgz")]
    [InlineData("http://127.0.0.2:{port}/x.tgz")]
    [InlineData("http://[::1]:{port}/x.tgz")]
    [InlineData("http://[::ffff:127.0.0.1]:{port}/x.tgz")]
    [InlineData("http://169.254.169.254/latest/meta-data")]
    [InlineData("https://127.0.0.1:{port}/x.tgz")]
    [InlineData("http://user:password@127.0.0.1:{port}/x.tgz")]
    [InlineData("file:///etc/passwd")]
    [InlineData("ftp://127.0.0.1:{port}/x.tgz")]
    public async Task Asks_no_other_host(string url)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(200, "tarball"));
        using var client = RegistryClientTests.Client(peer);
        Assert.Equal(MirrorFault.ForbiddenSource, (await RefusedAsync(client, url.Replace("{port}", $"{peer.Port}", StringComparison.Ordinal))).Fault);
        Assert.Empty(peer.Requests);
    }

    [Fact]
    public async Task Asks_a_host_that_the_operator_allowed_without_credentials()
    {
        await using var other = new LoopbackPeer(_ => LoopbackPeer.Answer(200, "tarball"));
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(200, "tarball"));
        using var client = RegistryClientTests.Client(peer, options => options with
        {
            TarballHosts = [$"127.0.0.1:{other.Port}"],
            Credentials = new RegistryCredentials([KeyValuePair.Create($"//127.0.0.1:{peer.Port}/", "Bearer t0ken")]),
        });
        Assert.IsType<TarballAnswer.Opened>(await OpenAsync(client, $"{other.Url}x.tgz")).Response.Dispose();
        Assert.Null(Assert.Single(other.Requests)["Authorization"]);
        Assert.IsType<TarballAnswer.Opened>(await OpenAsync(client, $"{peer.Url}x.tgz")).Response.Dispose();
        Assert.Equal("Bearer t0ken", Assert.Single(peer.Requests)["Authorization"]);
    }

    [Claim("Credentials of a tarball host are sent to that host alone, with its first address, and none after a redirect",
        With = [nameof(Asks_a_host_that_the_operator_allowed_without_credentials)],
        Red = "`UpstreamTransport` sends a host's credentials after a redirect too, or none to a tarball host: the first was red; it sends the upstream's: the second")]
    [Fact]
    public async Task An_allowed_host_gets_its_own_credentials_and_none_after_a_redirect()
    {
        await using var other = new LoopbackPeer(request => request.Target.Contains("moved", StringComparison.Ordinal)
            ? LoopbackPeer.Answer(200, "tarball")
            : LoopbackPeer.Answer(302, "", "Location: /moved.tgz\r\n"));
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(302, "", $"Location: {other.Url}moved.tgz\r\n"));
        using var client = RegistryClientTests.Client(peer, options => options with
        {
            TarballHosts = [$"127.0.0.1:{other.Port}"],
            Credentials = new RegistryCredentials([KeyValuePair.Create($"//127.0.0.1:{peer.Port}/", "Bearer upstream"), KeyValuePair.Create($"//127.0.0.1:{other.Port}/", "Bearer tarballs")]),
        });
        Assert.IsType<TarballAnswer.Opened>(await OpenAsync(client, $"{other.Url}x.tgz")).Response.Dispose();
        Assert.IsType<TarballAnswer.Opened>(await OpenAsync(client, $"{peer.Url}x.tgz")).Response.Dispose();
        Assert.Equal(["Bearer tarballs", null, null], other.Requests.Select(request => request["Authorization"]));
        Assert.Equal(["Bearer upstream"], peer.Requests.Select(request => request["Authorization"]));
    }

    [Fact]
    public async Task A_redirect_does_not_lead_out_of_the_fence()
    {
        await using var victim = new LoopbackPeer(_ => LoopbackPeer.Answer(200, "secret"));
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(302, "", $"Location: {victim.Url}x.tgz\r\n"));
        using var client = RegistryClientTests.Client(peer);
        Assert.Equal(MirrorFault.ForbiddenSource, (await RefusedAsync(client, $"{peer.Url}x.tgz")).Fault);
        Assert.Empty(victim.Requests);
    }

    [Fact]
    public async Task A_redirect_to_an_allowed_host_carries_no_token()
    {
        await using var other = new LoopbackPeer(_ => LoopbackPeer.Answer(200, "tarball"));
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(302, "", $"Location: {other.Url}x.tgz\r\n"));
        using var client = RegistryClientTests.Client(peer, options => options with
        {
            TarballHosts = [$"127.0.0.1:{other.Port}"],
            Credentials = new RegistryCredentials([KeyValuePair.Create($"//127.0.0.1:{peer.Port}/", "Bearer t0ken")]),
        });
        Assert.IsType<TarballAnswer.Opened>(await OpenAsync(client, $"{peer.Url}x.tgz")).Response.Dispose();
        Assert.Null(Assert.Single(other.Requests)["Authorization"]);
    }

    [Fact]
    public async Task A_packument_is_not_fetched_from_a_neighbour_by_redirect_either()
    {
        // The upstream is public here, so loopback is a neighbour that only we can reach.
        var fence = Fence("https://registry.example.org/", ("registry.example.org", "93.184.216.34"), ("rebound.example.org", "127.0.0.1"));
        Assert.Equal(MirrorFault.ForbiddenSource, (await Assert.ThrowsAsync<MirrorException>(() => fence.ResolveAsync("rebound.example.org", TestContext.Current.CancellationToken))).Fault);
    }

    [Claim("No neighbour's address is connected to, for a name that resolves to it (loopback, link-local, private, CGNAT, unique-local, mapped, translated)",
        With =
        [
            nameof(The_address_that_was_checked_is_the_one_connected_to),
            nameof(A_private_upstream_opens_its_own_kind_of_network_only),
            nameof(Of_a_name_with_good_and_bad_addresses_only_the_good_are_connected_to),
        ],
        Red = "SourceFence.ResolveAsync returns what it resolved")]
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("10.1.2.3")]
    [InlineData("172.16.0.1")]
    [InlineData("172.31.255.255")]
    [InlineData("192.168.1.1")]
    [InlineData("100.64.0.1")]
    [InlineData("169.254.169.254")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("::1")]
    [InlineData("::")]
    [InlineData("fe80::1")]
    [InlineData("fc00::1")]
    [InlineData("fd12:3456::1")]
    [InlineData("ff02::1")]
    [InlineData("::ffff:10.0.0.1")]
    [InlineData("::10.0.0.1")]
    [InlineData("64:ff9b::a00:1")]
    [InlineData("2002:a00:1::1")]
    public async Task A_name_that_resolves_to_a_neighbour_is_not_connected_to(string address)
    {
        var fence = Fence("https://registry.example.org/", ("registry.example.org", "93.184.216.34"), ("evil.example.org", address));
        Assert.Equal(MirrorFault.ForbiddenSource, (await Assert.ThrowsAsync<MirrorException>(() => fence.ResolveAsync("evil.example.org", TestContext.Current.CancellationToken))).Fault);
        Assert.Throws<MirrorException>(() => fence.CheckLiteral(new UriBuilder("http", address).Uri));
    }

    [Theory]
    [InlineData("93.184.216.34")]
    [InlineData("172.32.0.1")]
    [InlineData("100.128.0.1")]
    [InlineData("2606:2800:220:1::1")]
    [InlineData("64:ff9b::5db8:d822")]
    public async Task A_public_address_is(string address)
    {
        var fence = Fence("https://registry.example.org/", ("registry.example.org", "93.184.216.34"), ("files.example.org", address));
        Assert.Equal(IPAddress.Parse(address), Assert.Single(await fence.ResolveAsync("files.example.org", TestContext.Current.CancellationToken)));
    }

    [Fact]
    public async Task A_private_upstream_opens_its_own_kind_of_network_only()
    {
        var fence = Fence("https://registry.example.org/", ("registry.example.org", "10.0.0.5"), ("files.example.org", "192.168.7.7"), ("metadata.example.org", "169.254.169.254"), ("local.example.org", "127.0.0.1"));
        Assert.Single(await fence.ResolveAsync("files.example.org", TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<MirrorException>(() => fence.ResolveAsync("metadata.example.org", TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<MirrorException>(() => fence.ResolveAsync("local.example.org", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Of_a_name_with_good_and_bad_addresses_only_the_good_are_connected_to()
    {
        var fence = Fence("https://registry.example.org/", ("registry.example.org", "93.184.216.34"), ("both.example.org", "10.0.0.1"), ("both.example.org", "93.184.216.35"));
        Assert.Equal([IPAddress.Parse("93.184.216.35")], await fence.ResolveAsync("both.example.org", TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("https://registry.example.org/x.tgz", "https://registry.example.org/x.tgz")]
    [InlineData("http://registry.example.org/x.tgz", "https://registry.example.org/x.tgz")]
    [InlineData("http://REGISTRY.example.org./x.tgz", "https://registry.example.org./x.tgz")]
    [InlineData("http://files.example.org/x.tgz", "http://files.example.org/x.tgz")]
    [InlineData("http://files.example.org:81/x.tgz", "http://files.example.org:81/x.tgz")]
    [InlineData("https://[2606:2800::1]:8443/x.tgz", "https://[2606:2800::1]:8443/x.tgz")]
    [InlineData("https://registry.example.org:444/x.tgz", null)]
    [InlineData("https://files.example.org.evil.example/x.tgz", null)]
    [InlineData("https://evilfiles.example.org/x.tgz", null)]
    public void Hosts_match_whole_and_old_http_addresses_of_the_upstream_become_https(string url, string? asked)
    {
        var fence = new SourceFence(new Uri("https://registry.example.org/npm"), ["files.example.org", "[2606:2800::1]:8443"], (_, _) => Task.FromResult<IPAddress[]>([]));
        if (asked is null)
        {
            Assert.Throws<MirrorException>(() => fence.CheckTarball(new Uri(url)));
        }
        else
        {
            Assert.Equal(new Uri(asked), fence.CheckTarball(new Uri(url)));
        }
    }

    [Fact]
    public async Task The_address_that_was_checked_is_the_one_connected_to()
    {
        // "localhost" passes as an allowed name only as long as the upstream lives on loopback too.
        await using var other = new LoopbackPeer(_ => LoopbackPeer.Answer(200, "tarball"));
        using var client = RegistryClientTests.Client(other, options => options with { BaseUrl = new Uri("http://192.0.2.1:9/"), TarballHosts = ["localhost"] });
        Assert.Equal(MirrorFault.ForbiddenSource, (await RefusedAsync(client, $"http://localhost:{other.Port}/x.tgz")).Fault);
        Assert.Empty(other.Requests);
    }

    private static Task<TarballAnswer> OpenAsync(RegistryClient client, string url) => client.OpenTarballAsync(new Uri(url), TestContext.Current.CancellationToken);

    private static Task<MirrorException> RefusedAsync(RegistryClient client, string url) => Assert.ThrowsAsync<MirrorException>(() => OpenAsync(client, url));

    private static SourceFence Fence(string upstream, params (string Host, string Address)[] names) =>
        new(new Uri(upstream), [], (host, _) => Task.FromResult(names.Where(name => name.Host == host).Select(name => IPAddress.Parse(name.Address)).ToArray()));
}
