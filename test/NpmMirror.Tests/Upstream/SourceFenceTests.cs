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

    private static SourceFence Fence(Func<string, CancellationToken, Task<IPAddress[]>> resolve) => new(Upstream, ["files.example.org"], resolve);
}
