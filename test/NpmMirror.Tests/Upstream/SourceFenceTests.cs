using System.Net;
using System.Net.Sockets;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

/// <summary>What the fence refuses, and that it names the reason.</summary>
public sealed class SourceFenceTests
{
    private static readonly Uri Upstream = new("https://registry.example.org/");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

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
    [InlineData("https://registry.example.org/a", "https://registry.example.org:443/b", true)]
    [InlineData("https://registry.example.org/", "https://REGISTRY.example.org./", true)]
    [InlineData("https://registry.example.org/", "http://registry.example.org:443/", false)]
    [InlineData("https://registry.example.org/", "https://registry.example.org:8443/", false)]
    [InlineData("https://registry.example.org/", "https://other.example.org/", false)]
    public void Credentials_go_to_the_same_scheme_host_and_port_only(string left, string right, bool isSame) =>
        Assert.Equal(isSame, SourceFence.SameOrigin(new Uri(left), new Uri(right)));

    private static SourceFence Fence(Func<string, CancellationToken, Task<IPAddress[]>> resolve) => new(Upstream, ["files.example.org"], resolve);
}
