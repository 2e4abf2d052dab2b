using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.NpmSettings;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

/// <summary>Proxies that speak SOCKS, as npm's configuration names them.</summary>
public sealed class SocksProxyTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A SOCKS proxy of npm's configuration or the environment is used, with its password, and looks names up itself; a fault in any other address names the setting",
        With = [nameof(The_port_may_be_left_out_and_the_scheme_has_other_spellings), nameof(An_address_that_is_no_proxys_is_told_with_its_setting)])]
    [Theory]
    [InlineData("proxy", "socks5", "")]
    [InlineData("https-proxy", "socks5h", "")]
    [InlineData("HTTPS_PROXY", "socks", "")]
    [InlineData("http_proxy", "SOCKS5H", "")]
    [InlineData("proxy", "socks5", "user:pa%40ss@")]
    [InlineData("HTTP_PROXY", "socks5h", "user:pa%40ss@")]
    [InlineData("proxy", "socks4a", "")]
    public async Task Asks_through_the_proxy_which_looks_the_name_up(string setting, string scheme, string user)
    {
        var asked = new ConcurrentQueue<string>();
        await using var proxy = new LoopbackPeer(
            (_, stream, token) => stream.WriteAsync(Encoding.UTF8.GetBytes(LoopbackPeer.Answer(200, """{"name":"x"}""")), token).AsTask(),
            stream => GreetAsync(stream, asked));
        using var client = new RegistryClient(Load(setting, $"{scheme}://{user}127.0.0.1:{proxy.Port}").ToClientOptions(new Uri("http://registry.example.org/npm")), new ByteBudget(1_000_000), TimeProvider.System, NullLogger.Instance);
        using var document = Assert.IsType<PackumentAnswer.Fetched>(await client.GetPackumentAsync(PackageName.Parse("x"), default, false, Cancelled)).Document;
        Assert.Equal($"{(user.Length == 0 ? "" : "user:pa@ss ")}registry.example.org:80", Assert.Single(asked));
        Assert.Equal("/npm/x", Assert.Single(proxy.Requests).Target);
    }

    [Theory]
    [InlineData("proxy", "ftp://one:1")]
    [InlineData("https-proxy", "socks6://one:1")]
    [InlineData("HTTPS_PROXY", "pac+http://one:1")]
    [InlineData("http_proxy", "http://")]
    public void An_address_that_is_no_proxys_is_told_with_its_setting(string setting, string address)
    {
        var failure = Assert.Throws<MirrorException>(() => Load(setting, address).ToClientOptions(new Uri("http://registry.example.org/")));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.Contains(setting, failure.Message, StringComparison.Ordinal);
        Assert.Contains("socks5", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("socks5://one", "socks5://one:1080/")]
    [InlineData("socks://one:9050", "socks5://one:9050/")]
    [InlineData("socks5h://[::1]:9050", "socks5://[::1]:9050/")]
    [InlineData("socks4://one:9050", "socks4://one:9050/")]
    public void The_port_may_be_left_out_and_the_scheme_has_other_spellings(string written, string address)
    {
        var upstream = new Uri("https://registry.example.org/");
        Assert.Equal(address, Load("proxy", written).ToClientOptions(upstream).Proxy!.GetProxy(upstream)!.AbsoluteUri);
    }

    /// <summary>One setting: of npm's own file, or of the environment where the name is a variable's.</summary>
    private static NpmConfig Load(string setting, string value)
    {
        using var home = new TestFolder();
        var isVariable = setting.Contains('_', StringComparison.Ordinal);
        if (!isVariable)
        {
            File.WriteAllText(Path.Combine(home.Path, ".npmrc"), $"{setting}={value}\n");
        }

        return NpmConfig.Load(new NpmSurroundings
        {
            Variable = name => isVariable && name == setting ? value : null,
            VariableNames = isVariable ? [setting] : [],
            HomeFolder = home.Path,
            AskNpmAsync = (_, _) => Task.FromResult<string?>(null),
        });
    }

    /// <summary>The proxy's side of SOCKS 4a and 5 (RFC 1928, 1929), up to where the connection is the target's.</summary>
    private static async Task<Stream> GreetAsync(Stream stream, ConcurrentQueue<string> asked)
    {
        var version = (await ReadAsync(stream, 1))[0];
        if (version == 4)
        {
            var head = await ReadAsync(stream, 7);
            Assert.Equal([0, 0, 0], head[3..6]);
            await ReadTextAsync(stream);
            asked.Enqueue($"{await ReadTextAsync(stream)}:{(head[1] << 8) + head[2]}");
            await stream.WriteAsync(new byte[] { 0, 90, 0, 0, 0, 0, 0, 0 }, Cancelled);
            return stream;
        }

        var methods = await ReadAsync(stream, (await ReadAsync(stream, 1))[0]);
        var method = methods.Contains((byte)2) ? (byte)2 : (byte)0;
        await stream.WriteAsync(new byte[] { 5, method }, Cancelled);
        var user = "";
        if (method == 2)
        {
            var name = await ReadAsync(stream, (await ReadAsync(stream, 2))[1]);
            var password = await ReadAsync(stream, (await ReadAsync(stream, 1))[0]);
            user = $"{Encoding.ASCII.GetString(name)}:{Encoding.ASCII.GetString(password)} ";
            await stream.WriteAsync(new byte[] { 1, 0 }, Cancelled);
        }

        Assert.Equal([5, 1, 0, 3], await ReadAsync(stream, 4));
        var host = await ReadAsync(stream, (await ReadAsync(stream, 1))[0]);
        var port = await ReadAsync(stream, 2);
        asked.Enqueue($"{user}{Encoding.ASCII.GetString(host)}:{(port[0] << 8) + port[1]}");
        await stream.WriteAsync(new byte[] { 5, 0, 0, 1, 0, 0, 0, 0, 0, 0 }, Cancelled);
        return stream;
    }

    private static async Task<byte[]> ReadAsync(Stream stream, int count)
    {
        var bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes, Cancelled);
        return bytes;
    }

    private static async Task<string> ReadTextAsync(Stream stream)
    {
        var text = new StringBuilder();
        for (var one = await ReadAsync(stream, 1); one[0] != 0 && text.Length < 300; one = await ReadAsync(stream, 1))
        {
            text.Append((char)one[0]);
        }

        return text.ToString();
    }
}
