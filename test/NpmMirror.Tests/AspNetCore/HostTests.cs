using System.Net;
using System.Net.NetworkInformation;

namespace NpmMirror.Tests.AspNetCore;

public sealed class HostTests
{
    [Claim("A poisoned Host gets 421 and is never cached",
        Red = "`PublicAddresses` does not ask `IsAllowed`")]
    [Theory]
    [InlineData("evil.example.org")]
    [InlineData("evil.example.org:80")]
    [InlineData("10.255.255.1")]
    [InlineData("localhost.evil.example.org")]
    [InlineData("localhost:http")]
    [InlineData("localhost:99999")]
    public async Task A_poisoned_host_gets_no_answer_that_could_be_kept(string host)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        foreach (var path in new[] { "ms", "ms/latest", "_all_docs", "", "-/package/ms/dist-tags" })
        {
            var answer = await mirror.RawAsync($"GET /npm/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            Assert.True(answer.StartsWith("HTTP/1.1 421 ", StringComparison.Ordinal) || answer.StartsWith("HTTP/1.1 400 ", StringComparison.Ordinal), answer);
            Assert.DoesNotContain("tarball", answer);
        }

        Assert.DoesNotContain("evil", await mirror.TextAsync("ms"));
    }

    [Claim("A poisoned `Host` appears in no answer",
        With =
        [
            nameof(Forwarding_headers_of_strangers_are_not_believed),
            nameof(A_trusted_proxy_tells_the_address_but_not_any_address),
            nameof(Invented_ports_are_answered_but_fill_no_memory),
        ],
        Red = "`PublicAddresses` does not ask `IsAllowed`: the first and the third were red; `RecentBases` keeps more than `Max`: the last was red")]
    [Fact]
    public async Task The_refusal_names_the_option()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var answer = await mirror.GetAsync("ms", ("Host", "npm.example.org"));
        Assert.Equal((HttpStatusCode)421, answer.StatusCode);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Contains("allowedHosts", text);
        Assert.Contains("publicUrl", text);
    }

    [Theory]
    [InlineData("npm.example.org", "http://npm.example.org/npm/ms/")]
    [InlineData("NPM.example.org:8080", "http://npm.example.org:8080/npm/ms/")]
    [InlineData("npm.example.org:80", "http://npm.example.org/npm/ms/")]
    [InlineData("localhost:1", "http://localhost:1/npm/ms/")]
    [InlineData("[::1]:4873", "http://[::1]:4873/npm/ms/")]
    public async Task An_allowed_host_is_the_base_of_urls(string host, string url)
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.AllowedHosts.Add("npm.example.org"));
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync("ms", ("Host", host));
        Assert.Contains(url, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Claim("Every address of the machine's cards, its name and the address that is listened at are names of this mirror",
        With =
        [
            nameof(The_address_that_is_listened_at_is_its_own),
            $"{nameof(PublicAddressesTests)}.{nameof(PublicAddressesTests.The_address_that_was_reached_is_served_and_no_other)}",
            $"{nameof(PublicAddressesTests)}.{nameof(PublicAddressesTests.With_a_public_address_every_host_is_served)}",
            $"{nameof(PublicAddressesTests)}.{nameof(PublicAddressesTests.An_address_has_no_default_port_and_no_host_that_is_none)}",
        ],
        Red = "`PublicAddresses` does not read the cards: the first was red; it does not allow the host of `listen`: the second; any address is taken for the one that was reached")]
    [Fact]
    public async Task Every_address_and_the_name_of_the_machine_are_its_own()
    {
        // Asked for over loopback, as a forwarded port asks: the address that was reached does not tell.
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        var addresses = NetworkInterface.GetAllNetworkInterfaces().SelectMany(card => card.GetIPProperties().UnicastAddresses).Select(unicast => unicast.Address);
        var hosts = addresses.Where(address => !address.IsIPv6LinkLocal).Select(address => new IPEndPoint(address, 4873).ToString()).Append(Dns.GetHostName()).ToList();
        foreach (var host in hosts)
        {
            using var answer = await mirror.GetAsync("ms", ("Host", host));
            Assert.True(answer.StatusCode == HttpStatusCode.OK, host);
            Assert.Contains($"http://{host.ToLowerInvariant()}/npm/ms/", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task The_address_that_is_listened_at_is_its_own()
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.Listen = "http://0.0.0.0:4873");
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync("ms", ("Host", "0.0.0.0:4873"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Without_a_host_the_address_that_was_reached_is_the_base()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        Assert.Contains($"{mirror.Address}npm/ms/-/ms-1.0.0.tgz", await mirror.RawAsync("GET /npm/ms HTTP/1.0\r\n\r\n"));
    }

    [Claim("X-Forwarded-* count only from trusted proxies, and only for allowed hosts",
        With =
        [
            nameof(A_trusted_proxy_tells_the_address_but_not_any_address),
            $"{nameof(PublicAddressesTests)}.{nameof(PublicAddressesTests.Only_a_trusted_peer_is_believed_however_its_address_is_written)}",
            $"{nameof(PublicAddressesTests)}.{nameof(PublicAddressesTests.The_port_that_a_proxy_tells_apart_is_that_of_a_host_without_one)}",
        ],
        Red = "`TrustedProxies` believes every peer; or the host that a proxy tells is not held against the names of this mirror; a connection without an address is trusted")]
    [Theory]
    [InlineData(null)]
    [InlineData("10.0.0.0/8")]
    public async Task Forwarding_headers_of_strangers_are_not_believed(string? proxy)
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options =>
        {
            options.AllowedHosts.Add("npm.example.org");
            if (proxy is not null)
            {
                options.TrustedProxies.Add(proxy);
            }
        });
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync("ms", ("X-Forwarded-Host", "npm.example.org"), ("X-Forwarded-Proto", "https"));
        Assert.DoesNotContain("npm.example.org", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_trusted_proxy_tells_the_address_but_not_any_address()
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options =>
        {
            options.AllowedHosts.Add("npm.example.org");
            options.TrustedProxies.Add("127.0.0.0/8");
        });
        await mirror.PutAsync("ms", Documents.Of("ms"));
        for (var round = 0; round < 2; round++)
        {
            using var answer = await mirror.GetAsync("ms", ("X-Forwarded-Host", "far.example.org, npm.example.org"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Prefix", "/mirrors/"));
            Assert.Contains("https://npm.example.org/mirrors/npm/ms/-/ms-1.0.0.tgz", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
            using var plain = await mirror.GetAsync("ms");
            Assert.Contains(mirror.Address.AbsoluteUri, await plain.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        using var poisoned = await mirror.GetAsync("ms", ("X-Forwarded-Host", "evil.example.org"));
        Assert.Equal((HttpStatusCode)421, poisoned.StatusCode);
    }

    [Claim("A trusted proxy tells port and scheme in every form, and a stranger's header of the other form is not believed",
        With = [$"{nameof(ForwardedHeaderTests)}.{nameof(ForwardedHeaderTests.The_nearest_proxys_element_counts)}"],
        Red = "`TrustedProxies` mixes the two families of headers, or does not look at the port: the first was red; `ForwardedHeader` takes the first element: the last")]
    [Theory]
    [InlineData("X-Forwarded-Port: 8443|X-Forwarded-Host: npm.example.org|X-Forwarded-Proto: HTTPS", "https://npm.example.org:8443/npm/ms/")]
    [InlineData("X-Forwarded-Port: 443|X-Forwarded-Host: npm.example.org|X-Forwarded-Proto: https", "https://npm.example.org/npm/ms/")]
    [InlineData("X-Forwarded-Port: 8443|X-Forwarded-Host: npm.example.org:9000", "http://npm.example.org:9000/npm/ms/")]
    [InlineData("X-Forwarded-Port: 8443|X-Forwarded-Host: [::1]", "http://[::1]:8443/npm/ms/")]
    [InlineData("X-Forwarded-Port: 8443|X-Forwarded-Host: [::1]:9000", "http://[::1]:9000/npm/ms/")]
    [InlineData("X-Forwarded-Port: 99999|X-Forwarded-Host: npm.example.org", "http://npm.example.org/npm/ms/")]
    [InlineData("X-Forwarded-Port: x|X-Forwarded-Host: npm.example.org", "http://npm.example.org/npm/ms/")]
    [InlineData("Forwarded: for=192.0.2.43;proto=https;host=npm.example.org", "https://npm.example.org/npm/ms/")]
    [InlineData("Forwarded: for=far;host=far.example.org, For=\"[2001:db8::1]:4711\" ; Proto=HTTPS;Host=\"npm.example.org:8443\"", "https://npm.example.org:8443/npm/ms/")]
    [InlineData("Forwarded: proto=https;host=evil.example.org|X-Forwarded-Host: npm.example.org", "http://npm.example.org/npm/ms/")]
    [InlineData("Host: npm.example.org:80|X-Forwarded-Proto: https", "https://npm.example.org/npm/ms/")]
    [InlineData("Host: npm.example.org:443|X-Forwarded-Proto: http", "http://npm.example.org/npm/ms/")]
    [InlineData("Host: NPM.example.org:80|Forwarded: proto=https", "https://npm.example.org/npm/ms/")]
    [InlineData("Host: npm.example.org:80|X-Forwarded-Proto: https|X-Forwarded-Port: 8443", "https://npm.example.org:8443/npm/ms/")]
    [InlineData("Host: npm.example.org:4873|X-Forwarded-Proto: https", "https://npm.example.org:4873/npm/ms/")]
    [InlineData("Host: inner:80|X-Forwarded-Host: npm.example.org:80|X-Forwarded-Proto: https", "https://npm.example.org:80/npm/ms/")]
    [InlineData("Host: npm.example.org:443|X-Forwarded-For: 192.0.2.1", "http://npm.example.org:443/npm/ms/")]
    [InlineData("Host: [::1]:80|X-Forwarded-Proto: https", "https://[::1]/npm/ms/")]
    public async Task A_trusted_proxy_tells_port_and_scheme_in_every_form(string headers, string address)
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options =>
        {
            options.AllowedHosts.Add("npm.example.org");
            options.TrustedProxies.Add("127.0.0.0/8");
        });
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync("ms", [.. headers.Split('|').Select(header => (header[..header.IndexOf(':')], header[(header.IndexOf(':') + 2)..]))]);
        Assert.Contains($"\"{address}-/ms-1.0.0.tgz\"", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Claim("Even from a trusted proxy, only `http` and `https` are believed as a scheme, and only a path as a prefix",
        With = [nameof(A_prefix_that_is_no_path_is_not_believed_of_a_trusted_proxy)],
        Red = "`TrustedProxies` takes any scheme, or any prefix")]
    [Theory]
    [InlineData("javascript")]
    [InlineData("ftp")]
    [InlineData("https://evil.example.org/?")]
    [InlineData("file")]
    [InlineData("")]
    public async Task A_scheme_that_is_not_the_webs_is_not_believed_of_a_trusted_proxy(string scheme)
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.TrustedProxies.Add("127.0.0.0/8"));
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync("ms", ("X-Forwarded-Proto", scheme));
        Assert.Contains($"\"{mirror.Address}npm/ms/-/ms-1.0.0.tgz\"", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("/a\"b")]
    [InlineData("/a b")]
    [InlineData("//evil.example.org\\")]
    [InlineData("evil")]
    public async Task A_prefix_that_is_no_path_is_not_believed_of_a_trusted_proxy(string prefix)
    {
        await using var mirror = await ServedMirror.StartAsync(configure: options => options.TrustedProxies.Add("127.0.0.0/8"));
        await mirror.PutAsync("ms", Documents.Of("ms"));
        using var answer = await mirror.GetAsync("ms", ("X-Forwarded-Prefix", prefix));
        Assert.Contains($"\"{mirror.Address}npm/ms/-/ms-1.0.0.tgz\"", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Claim("Invented ports fill no memory (16 bases)",
        Red = "`RecentBases` keeps more than `Max`")]
    [Fact]
    public async Task Invented_ports_are_answered_but_fill_no_memory()
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms"));
        await mirror.TextAsync("ms");
        var own = mirror.Cache.UsedBytes;
        for (var port = 1; port <= 200; port++)
        {
            using var answer = await mirror.GetAsync("ms", ("Host", $"localhost:{port}"));
            Assert.Contains($"http://localhost:{port}/npm/ms", (await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Replace(":80/", "/", StringComparison.Ordinal).Replace($"localhost/", $"localhost:{port}/", StringComparison.Ordinal));
        }

        Assert.True(mirror.Cache.UsedBytes < own * 17, $"{mirror.Cache.UsedBytes} bytes after {own}");
    }

    [Fact]
    public async Task Our_own_request_that_comes_back_is_a_loop()
    {
        await using var mirror = await ServedMirror.StartAsync();
        using var answer = await mirror.GetAsync("ms", ("npm-mirror-instance", $"other, {await mirror.InstanceAsync()}"));
        Assert.Equal((HttpStatusCode)508, answer.StatusCode);
    }
}
