using System.Net;
using System.Net.Sockets;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

/// <summary>The refusals of the fence, and their reasons.</summary>
public sealed class SourceFenceTests
{
    private static readonly Uri Upstream = new("https://registry.example.org/");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A refusal of the fence names its reason, and an upstream that does not resolve grants nothing",
        With =
        [
            nameof(An_upstream_that_does_not_resolve_grants_no_network),
            nameof(An_address_that_is_refused_says_why),
            nameof(Past_a_proxy_a_local_upstream_opens_its_own_kind_of_network_only),
            nameof(Credentials_go_to_the_same_scheme_host_and_port_only),
        ],
        Red = "`SourceFence` names another kind: the first was red; an upstream that does not resolve grants every kind: the second; a refusal leaves its reason out: the last; `CheckLiteral` forbids every local address, or takes no name for a local one; `SameOrigin` compares no schemes")]
    [Theory]
    [InlineData("127.0.0.1", "loopback")]
    [InlineData("169.254.1.1", "link-local")]
    [InlineData("10.1.2.3", "private")]
    [InlineData("240.0.0.1", "reserved")]
    public async Task The_kind_of_network_that_is_not_asked_is_told(string address, string kind)
    {
        var fence = Fence((host, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse(host == Upstream.Host ? "11.0.0.1" : address)]));
        var refused = await Assert.ThrowsAsync<MirrorException>(() => fence.ResolveAsync("files.example.org", Token));
        Assert.Equal(MirrorFault.ForbiddenSource, refused.Fault);
        Assert.Contains($"a {kind} address", refused.Message, StringComparison.Ordinal);
        Assert.Contains($"a {kind} one", Assert.Throws<MirrorException>(() => fence.CheckLiteral(new Uri($"https://{address}/a.tgz"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_upstream_that_does_not_resolve_grants_no_network()
    {
        var fence = Fence((host, _) => host == Upstream.Host ? throw new SocketException((int)SocketError.HostNotFound) : Task.FromResult<IPAddress[]>([IPAddress.Parse("10.1.2.3")]));
        await Assert.ThrowsAsync<MirrorException>(() => fence.ResolveAsync("files.example.org", Token));
    }

    [Theory]
    [InlineData("ftp://files.example.org/a.tgz", "no http address")]
    [InlineData("https://user@files.example.org/a.tgz", "a user name")]
    [InlineData("http://registry.example.org:443/a.tgz", "another scheme")]
    [InlineData("https://other.example.org/a.tgz", "tarballHosts")]
    public void An_address_that_is_refused_says_why(string url, string reason) =>
        Assert.Contains(reason, Assert.Throws<MirrorException>(() => Fence((_, _) => Task.FromResult<IPAddress[]>([])).CheckTarball(new Uri(url))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("https://registry.example.org/", "https://files.example.org/a.tgz", null)]
    [InlineData("https://registry.example.org/", "https://93.184.216.34/a.tgz", null)]
    [InlineData("https://registry.example.org/", "https://10.0.0.9/a.tgz", "private")]
    [InlineData("https://registry.example.org/", "https://localhost/a.tgz", "loopback")]
    [InlineData("https://registry.example.org/", "https://LocalHost./a.tgz", "loopback")]
    [InlineData("https://registry.example.org/", "https://files.localhost/a.tgz", "loopback")]
    [InlineData("http://10.0.0.5/", "http://192.168.7.7/a.tgz", null)]
    [InlineData("http://10.0.0.5/", "http://127.0.0.1/a.tgz", "loopback")]
    [InlineData("http://10.0.0.5/", "http://localhost/a.tgz", "loopback")]
    [InlineData("http://127.0.0.1:4873/", "http://localhost/a.tgz", null)]
    [InlineData("http://localhost:4873/", "http://127.0.0.2/a.tgz", null)]
    [InlineData("http://npm.localhost/", "http://[::1]/a.tgz", null)]
    [InlineData("http://localhost:4873/", "http://169.254.169.254/a.tgz", "link-local")]
    public void Past_a_proxy_a_local_upstream_opens_its_own_kind_of_network_only(string upstream, string url, string? refused)
    {
        var fence = new SourceFence(new Uri(upstream), [], (_, _) => throw new InvalidOperationException("The proxy resolves names."));
        var refusal = Record.Exception(() => fence.CheckLiteral(new Uri(url)));
        Assert.Equal(refused is not null, refusal is MirrorException { Fault: MirrorFault.ForbiddenSource });
        if (refused is null)
        {
            Assert.Null(refusal);
        }
        else
        {
            Assert.Contains($"its address is a {refused} one", refusal!.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("files.example.org", "https://files.example.org/a.tgz", true)]
    [InlineData("files.example.org", "https://FILES.example.org:8443/a.tgz", true)]
    [InlineData("files.example.org", "https://other.files.example.org/a.tgz", false)]
    [InlineData("files.example.org:8443", "https://files.example.org:8443/a.tgz", true)]
    [InlineData("files.example.org:8443", "https://files.example.org/a.tgz", false)]
    [InlineData("files.example.org:80", "http://files.example.org/a.tgz", true)]
    [InlineData("[2001:db8::1]", "https://[2001:db8::1]:8443/a.tgz", true)]
    [InlineData("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/a.tgz", true)]
    [InlineData("[2001:db8::1]:8443", "https://[2001:db8::1]/a.tgz", false)]
    [InlineData("[2001:db8::2]", "https://[2001:db8::1]/a.tgz", false)]
    [InlineData("not a host", "https://files.example.org/a.tgz", false)]
    public void A_host_is_allowed_at_any_port_unless_one_is_named(string allowed, string url, bool isAllowed)
    {
        var fence = new SourceFence(Upstream, ["first.example.org", allowed], (_, _) => throw new InvalidOperationException());
        Assert.Equal(isAllowed, Record.Exception(() => fence.CheckTarball(new Uri(url))) is null);
    }

    [Theory]
    [InlineData("https://registry.example.org/", "http://registry.example.org/a.tgz", "https://registry.example.org/a.tgz")]
    [InlineData("https://registry.example.org/", "https://registry.example.org/a.tgz", "https://registry.example.org/a.tgz")]
    [InlineData("http://registry.example.org/", "https://registry.example.org/a.tgz", "http://registry.example.org/a.tgz")]
    [InlineData("https://registry.example.org:8443/", "https://registry.example.org:8443/a.tgz", "https://registry.example.org:8443/a.tgz")]
    [InlineData("https://registry.example.org:8443/", "http://registry.example.org/a.tgz", null)]
    [InlineData("https://registry.example.org/", "http://registry.example.org:8080/a.tgz", null)]
    [InlineData("https://registry.example.org:8443/", "https://registry.example.org/a.tgz", null)]
    public void Of_the_upstreams_host_only_its_own_and_the_default_ports_are_asked(string upstream, string url, string? asked)
    {
        var fence = new SourceFence(new Uri(upstream), [], (_, _) => throw new InvalidOperationException());
        if (asked is null)
        {
            Assert.Equal(MirrorFault.ForbiddenSource, Assert.Throws<MirrorException>(() => fence.CheckTarball(new Uri(url))).Fault);
        }
        else
        {
            Assert.Equal(new Uri(asked), fence.CheckTarball(new Uri(url)));
        }
    }

    [Fact]
    public async Task Of_several_addresses_only_those_of_an_open_network_are_connected_to()
    {
        var addresses = new[] { "10.1.2.3", "11.0.0.2", "127.0.0.1" }.Select(IPAddress.Parse).ToArray();
        var outside = Fence((host, _) => Task.FromResult(host == Upstream.Host ? [IPAddress.Parse("11.0.0.1")] : addresses));
        Assert.Equal([addresses[1]], await outside.ResolveAsync("files.example.org", Token));
        var inside = Fence((host, _) => Task.FromResult(host == Upstream.Host ? [IPAddress.Parse("10.0.0.1")] : addresses));
        Assert.Equal([addresses[0], addresses[1]], await inside.ResolveAsync("files.example.org", Token));
        var open = Fence((host, _) => host == Upstream.Host ? throw new InvalidOperationException("Nobody asked.") : Task.FromResult<IPAddress[]>([addresses[1]]));
        Assert.Equal([addresses[1]], await open.ResolveAsync("files.example.org", Token));
    }

    [Theory]
    [InlineData("https://registry.example.org/a", "https://registry.example.org:443/b", true)]
    [InlineData("https://registry.example.org/", "https://REGISTRY.example.org./", true)]
    [InlineData("https://registry.example.org/", "http://registry.example.org:443/", false)]
    [InlineData("https://registry.example.org/", "https://registry.example.org:8443/", false)]
    [InlineData("https://registry.example.org/", "https://other.example.org/", false)]
    public void Credentials_go_to_the_same_scheme_host_and_port_only(string left, string right, bool isSame) =>
        Assert.Equal(isSame, SourceFence.SameOrigin(new Uri(left), new Uri(right)));

    private static SourceFence Fence(Func<string, CancellationToken, Task<IPAddress[]>> resolve) => new(Upstream, ["files.example.org"], resolve);
}
