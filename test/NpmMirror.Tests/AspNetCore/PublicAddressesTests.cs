using System.Net;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Operations;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Options;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>Which names and peers a mirror answers to, however the connection tells its addresses.</summary>
public sealed class PublicAddressesTests
{
    [Theory]
    [InlineData("203.0.113.7:80", "203.0.113.7", true)]
    [InlineData("203.0.113.7", "::ffff:203.0.113.7", true)]
    [InlineData("203.0.113.7", "203.0.113.8", false)]
    [InlineData("203.0.113.7", null, false)]
    [InlineData("[2001:db8::7]:4873", "2001:db8::7", true)]
    [InlineData("127.0.0.1", null, true)]
    [InlineData("localhost:4873", null, true)]
    [InlineData("", "203.0.113.7", false)]
    public void The_address_that_was_reached_is_served_and_no_other(string host, string? local, bool isServed) =>
        Assert.Equal(isServed, new PublicAddresses(new MirrorOptions()).IsServed(host, local is null ? null : IPAddress.Parse(local)));

    [Theory]
    [InlineData("evil.example.org")]
    [InlineData("")]
    public void With_a_public_address_every_host_is_served(string host)
    {
        var addresses = new PublicAddresses(new MirrorOptions { PublicUrl = "https://npm.example.org/" });
        Assert.True(addresses.IsServed(host, null));
        Assert.Equal("https://npm.example.org", addresses.Find(new DefaultHttpContext(), new Origin("http", host, ""), "/npm"));
    }

    [Theory]
    [InlineData("npm.example.org", true)]
    [InlineData("evil.example.org", false)]
    public void A_program_here_administers_by_the_public_name_too(string host, bool isAllowed)
    {
        var options = new MirrorOptions { PublicUrl = "https://npm.example.org/" };
        Assert.Equal(isAllowed, new AdminAccess(options, new PublicAddresses(options)).Refusal(Context("127.0.0.1", ("Host", host))) is null);
    }

    [Theory]
    [InlineData("10.1.2.3", true)]
    [InlineData("::ffff:10.1.2.3", true)]
    [InlineData("11.1.2.3", false)]
    [InlineData("::1", false)]
    [InlineData(null, false)]
    public void Only_a_trusted_peer_is_believed_however_its_address_is_written(string? peer, bool isBelieved)
    {
        var context = Context(peer, ("X-Forwarded-Host", "npm.example.org"));
        var origin = new TrustedProxies(["10.0.0.0/8"]).Forwarded(context, new Origin("http", "inner", ""));
        Assert.Equal(isBelieved ? "npm.example.org" : "inner", origin.Host);
    }

    [Claim("A proxy that is trusted by its address is the only peer that is",
        Red = "`TrustedProxies` makes a network of the address's length in bytes: nearly every peer is trusted")]
    [Theory]
    [InlineData("10.1.2.3", "10.1.2.3", true)]
    [InlineData("10.1.2.3", "10.1.2.2", false)]
    [InlineData("10.1.2.3", "11.1.2.3", false)]
    [InlineData("2001:db8::1", "2001:db8::1", true)]
    [InlineData("2001:db8::1", "2001:db8::", false)]
    [InlineData("2001:db8::1", "2001:db8:1::1", false)]
    public void A_proxy_that_is_named_by_its_address_is_the_only_one(string proxy, string peer, bool isBelieved)
    {
        var origin = new TrustedProxies([proxy]).Forwarded(Context(peer, ("X-Forwarded-Host", "npm.example.org")), new Origin("http", "inner", ""));
        Assert.Equal(isBelieved ? "npm.example.org" : "inner", origin.Host);
    }

    [Theory]
    [InlineData("npm.example.org", "npm.example.org:8443")]
    [InlineData("npm.example.org:9000", "npm.example.org:9000")]
    [InlineData("[2001:db8::]", "[2001:db8::]:8443")]
    [InlineData("[2001:db8::]:9000", "[2001:db8::]:9000")]
    public void The_port_that_a_proxy_tells_apart_is_that_of_a_host_without_one(string host, string both)
    {
        var context = Context("10.1.2.3", ("X-Forwarded-Host", host), ("X-Forwarded-Port", "8443"));
        Assert.Equal(both, new TrustedProxies(["10.0.0.0/8"]).Forwarded(context, new Origin("http", "inner", "")).Host);
    }

    [Theory]
    [InlineData("npm.example.org:80", "http", "http://npm.example.org/npm")]
    [InlineData("NPM.example.org:443", "https", "https://npm.example.org/npm")]
    [InlineData("npm.example.org:443", "http", "http://npm.example.org:443/npm")]
    [InlineData("[2001:db8::]:80", "http", "http://[2001:db8::]/npm")]
    [InlineData("2001:db8::80", "http", null)]
    [InlineData("npm.example.org::80", "http", null)]
    public void An_address_has_no_default_port_and_no_host_that_is_none(string host, string scheme, string? address)
    {
        var options = new MirrorOptions();
        options.AllowedHosts.Add("npm.example.org");
        options.AllowedHosts.Add("2001:db8::");
        Assert.Equal(address, new PublicAddresses(options).Find(new DefaultHttpContext(), new Origin(scheme, host, ""), "/npm"));
    }

    [Theory]
    [InlineData("127.0.0.1", "", "", true)]
    [InlineData("127.0.0.1", "localhost:4873", "", true)]
    [InlineData("::1", "localhost", "none", true)]
    [InlineData("::1", "localhost", "same-origin", true)]
    [InlineData("::1", "localhost", "same-site", false)]
    [InlineData("::1", "localhost", "cross-site", false)]
    [InlineData("127.0.0.1", "evil.example.org", "", false)]
    [InlineData("203.0.113.7", "localhost", "", false)]
    [InlineData(null, "localhost", "", false)]
    public void Without_a_token_only_a_program_here_administers_by_a_name_of_ours(string? peer, string host, string site, bool isAllowed)
    {
        var options = new MirrorOptions();
        var context = Context(peer, ("Host", host), ("Sec-Fetch-Site", site));
        Assert.Equal(isAllowed, new AdminAccess(options, new PublicAddresses(options)).Refusal(context) is null);
    }

    [Fact]
    public void A_program_here_administers_by_the_address_that_it_reached()
    {
        var options = new MirrorOptions();
        var context = Context("127.0.0.1", ("Host", "203.0.113.7:4873"));
        context.Connection.LocalIpAddress = IPAddress.Parse("203.0.113.7");
        Assert.Null(new AdminAccess(options, new PublicAddresses(options)).Refusal(context));
    }

    [Claim("Where a trusted proxy sends any `X-Forwarded-*`, its `Forwarded` is not read: a stranger may have sent it",
        Red = "each of the four headers left out of `TrustedProxies.Told`")]
    [Theory]
    [InlineData("X-Forwarded-Proto", "https", "https", "inner", "")]
    [InlineData("X-Forwarded-Host", "npm.example.org", "http", "npm.example.org", "")]
    [InlineData("X-Forwarded-Port", "8443", "http", "inner:8443", "")]
    [InlineData("X-Forwarded-Prefix", "/npm", "http", "inner", "/npm")]
    public void The_two_families_of_a_proxys_headers_are_not_mixed(string header, string value, string scheme, string host, string prefix)
    {
        var context = Context("10.1.2.3", (header, value), ("Forwarded", "host=evil.example.org;proto=https"));
        Assert.Equal(new Origin(scheme, host, prefix), new TrustedProxies(["10.0.0.0/8"]).Forwarded(context, new Origin("http", "inner", "")));
    }

    private static DefaultHttpContext Context(string? peer, params (string Name, string Value)[] headers)
    {
        var context = new DefaultHttpContext();
        context.Connection.RemoteIpAddress = peer is null ? null : IPAddress.Parse(peer);
        foreach (var (name, value) in headers.Where(header => header.Value.Length > 0))
        {
            context.Request.Headers[name] = value;
        }

        return context;
    }
}
