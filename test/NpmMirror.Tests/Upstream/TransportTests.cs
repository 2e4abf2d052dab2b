using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using NpmMirror.Feeds;
using NpmMirror.NpmSettings;
using NpmMirror.Tests.NpmSettings;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Upstream;

/// <summary>Credentials, redirects, certificates and proxies, over real connections.</summary>
public sealed class TransportTests
{
    private static readonly RegistryCredentials Token = new([KeyValuePair.Create("//registry.example.org/", "Bearer t0ken")]);

    [Fact]
    public async Task Sends_the_configured_token_and_nothing_else_knows_it()
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(404, "{}"));
        using var client = RegistryClientTests.Client(peer, options => options with { Credentials = CredentialsOf(peer) });
        await GetAsync(client);
        Assert.Equal("Bearer t0ken", Assert.Single(peer.Requests)["Authorization"]);
    }

    [Fact]
    public async Task User_and_password_in_the_address_are_credentials_and_no_part_of_it()
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(500, "{}"));
        using var client = RegistryClientTests.Client(peer, options => options with { BaseUrl = new Uri($"http://us%40er:s3cret@127.0.0.1:{peer.Port}/") });
        var failure = await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client));
        Assert.Equal($"Basic {Convert.ToBase64String("us@er:s3cret"u8)}", Assert.Single(peer.Requests)["Authorization"]);
        Assert.DoesNotContain("s3cret", failure.Message + client.BaseUrl + new KnownUpstream(client.BaseUrl).Identity, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(303)]
    [InlineData(307)]
    [InlineData(308)]
    public async Task Follows_a_redirect_on_the_same_host_with_the_token(int status)
    {
        await using var peer = new LoopbackPeer(request => request.Target == "/x"
            ? LoopbackPeer.Answer(status, "", "Location: /moved/x\r\n")
            : LoopbackPeer.Answer(200, """{"name":"x"}"""));
        using var client = RegistryClientTests.Client(peer, options => options with { Credentials = CredentialsOf(peer) });
        Assert.IsType<PackumentAnswer.Fetched>(await GetAsync(client));
        Assert.Equal(["Bearer t0ken", "Bearer t0ken"], peer.Requests.Select(request => request["Authorization"]));
    }

    [Claim("A token is sent to the upstream's own origin only and does not come back after a detour",
        With =
        [
            nameof(A_token_does_not_come_back_after_a_detour),
            $"{nameof(TarballSourceTests)}.{nameof(TarballSourceTests.A_redirect_to_an_allowed_host_carries_no_token)}",
        ],
        Red = "UpstreamTransport.SendAsync does not clear isFirstOrigin at another origin")]
    [Fact]
    public async Task A_token_does_not_travel_to_another_port()
    {
        await using var other = new LoopbackPeer(_ => LoopbackPeer.Answer(200, """{"name":"x"}"""));
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(302, "", $"Location: {other.Url}x\r\n"));
        // Even one that is configured for there: a redirecting server does not decide about our credentials.
        var credentials = new RegistryCredentials([KeyValuePair.Create($"//127.0.0.1:{peer.Port}/", "Bearer t0ken"), KeyValuePair.Create($"//127.0.0.1:{other.Port}/", "Bearer other")]);
        using var client = RegistryClientTests.Client(peer, options => options with { Credentials = credentials });
        Assert.IsType<PackumentAnswer.Fetched>(await GetAsync(client));
        Assert.Equal("Bearer t0ken", Assert.Single(peer.Requests)["Authorization"]);
        Assert.Null(Assert.Single(other.Requests)["Authorization"]);
    }

    [Fact]
    public async Task A_token_does_not_come_back_after_a_detour()
    {
        LoopbackPeer? peer = null;
        await using var other = new LoopbackPeer(_ => LoopbackPeer.Answer(302, "", $"Location: {peer!.Url}back\r\n"));
        await using var first = peer = new LoopbackPeer(request => request.Target == "/back" ? LoopbackPeer.Answer(404, "{}") : LoopbackPeer.Answer(302, "", $"Location: {other.Url}\r\n"));
        using var client = RegistryClientTests.Client(peer, options => options with { Credentials = CredentialsOf(peer) });
        await GetAsync(client);
        Assert.Equal(["Bearer t0ken", null], peer.Requests.Select(request => request["Authorization"]));
    }

    [Fact]
    public async Task A_redirect_in_a_circle_ends()
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(302, "", "Location: /x\r\n"));
        using var client = RegistryClientTests.Client(peer);
        Assert.Contains("redirects", (await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client))).Message, StringComparison.Ordinal);
        Assert.Equal(6, peer.Requests.Count);
    }

    [Fact]
    public async Task Trusts_the_authority_that_npm_is_told_to_trust()
    {
        using var authority = Authority();
        await using var peer = TlsPeer(authority);
        using var trusting = Client(peer, authority);
        Assert.IsType<PackumentAnswer.Absent>(await GetAsync(trusting));
        using var extra = TlsClient(peer, options => options with { ExtraAuthorities = [authority] });
        Assert.IsType<PackumentAnswer.Absent>(await GetAsync(extra));
    }

    [Claim("A certificate of an unknown authority, or of another host, is refused; npm's cafile is trusted",
        With = [nameof(Refuses_a_trusted_certificate_of_another_host), nameof(Trusts_the_authority_that_npm_is_told_to_trust)],
        Red = "UpstreamConnections.IsTrusted does not look at name errors, or trusts when no authorities are set")]
    [Fact]
    public async Task Refuses_a_certificate_of_an_unknown_authority()
    {
        using var authority = Authority();
        using var another = Authority();
        await using var peer = TlsPeer(authority);
        using var strict = TlsClient(peer, options => options);
        Assert.Contains("not trusted", (await Assert.ThrowsAsync<MirrorException>(() => GetAsync(strict))).Message, StringComparison.Ordinal);
        using var wrong = Client(peer, another);
        Assert.True((await Assert.ThrowsAsync<MirrorException>(() => GetAsync(wrong))).IsTransient);
        using var lax = TlsClient(peer, options => options with { IsTlsStrict = false });
        Assert.IsType<PackumentAnswer.Absent>(await GetAsync(lax));
    }

    [Fact]
    public async Task Refuses_a_trusted_certificate_of_another_host()
    {
        using var authority = Authority();
        await using var peer = TlsPeer(authority, "registry.example.org");
        using var client = Client(peer, authority);
        await Assert.ThrowsAsync<MirrorException>(() => GetAsync(client));
    }

    [Claim("A client certificate is shown to its host alone; an unusable one is reported",
        With =
        [
            $"{nameof(NpmConfigTests)}.{nameof(NpmConfigTests.A_client_certificate_belongs_to_its_host)}",
            $"{nameof(NpmConfigTests)}.{nameof(NpmConfigTests.A_client_certificate_that_is_unusable_is_told)}",
        ],
        Red = "any host is shown the certificate: the first was red; one that cannot be read is passed over, or half of one taken: the last")]
    [Theory]
    [InlineData("localhost", true)]
    [InlineData("registry.example.org", false)]
    public async Task Only_the_configured_host_sees_the_client_certificate(string host, bool isShown)
    {
        using var authority = Authority();
        string? shown = null;
        await using var peer = TlsPeer(authority, seen: certificate => shown = certificate?.Subject);
        using var client = TlsClient(peer, options => options with { Authorities = [authority], ClientCertificates = new Dictionary<string, X509Certificate2> { [host] = authority } });
        Assert.IsType<PackumentAnswer.Absent>(await GetAsync(client));
        Assert.Equal(isShown ? authority.Subject : null, shown);
    }

    [Claim("Proxy (also with a password, also tunnelling TLS) and NO_PROXY as npm has them",
        With =
        [
            nameof(Tunnels_tls_through_a_proxy_that_wants_a_password),
            $"{nameof(NpmConfigTests)}.{nameof(NpmConfigTests.The_proxy_is_npms_else_the_environments)}",
        ],
        Red = "`UseProxy` is false: the first was red; the proxy's user and password are not kept: the second; `IsBypassed` does not look at the exceptions, nor at loopback, or the environment beats npm's setting: the last")]
    [Fact]
    public async Task Goes_through_the_proxy_with_the_token_inside()
    {
        await using var proxy = new LoopbackPeer(request => request.Method == "GET" ? LoopbackPeer.Answer(404, "{}") : LoopbackPeer.Answer(502, ""));
        using var client = new RegistryClient(
            new RegistryClientOptions { BaseUrl = new Uri("http://registry.example.org/npm/"), Credentials = Token, Proxy = NpmProxy.Create(new ProxySetting($"http://127.0.0.1:{proxy.Port}", "here"), null, null, null) },
            new ByteBudget(1_000_000),
            TimeProvider.System,
            NullLogger.Instance);
        Assert.IsType<PackumentAnswer.Absent>(await GetAsync(client));
        var request = Assert.Single(proxy.Requests);
        Assert.Equal("http://registry.example.org/npm/x", request.Target);
        Assert.Equal("Bearer t0ken", request["Authorization"]);
    }

    [Fact]
    public async Task Tunnels_tls_through_a_proxy_that_wants_a_password()
    {
        using var authority = Authority();
        await using var registry = TlsPeer(authority, "registry.example.org");
        await using var proxy = Tunnel(registry.Port, "Basic " + Convert.ToBase64String("user:pass"u8));
        using var client = new RegistryClient(
            new RegistryClientOptions
            {
                BaseUrl = new Uri("https://registry.example.org/"),
                Credentials = Token,
                Authorities = [authority],
                Proxy = NpmProxy.Create(new ProxySetting($"http://user:pass@127.0.0.1:{proxy.Port}", "here"), null, null, null),
            },
            new ByteBudget(1_000_000),
            TimeProvider.System,
            NullLogger.Instance);
        Assert.IsType<PackumentAnswer.Absent>(await GetAsync(client));
        Assert.All(proxy.Requests, request => Assert.Equal("CONNECT", request.Method));
        Assert.All(proxy.Requests, request => Assert.Null(request["Authorization"]));
        Assert.Equal("Bearer t0ken", Assert.Single(registry.Requests)["Authorization"]);
    }

    [Theory]
    [InlineData("Connection: close\r\n")]
    [InlineData("")]
    public async Task A_proxy_that_wants_a_password_is_asked_again_with_it(string connection)
    {
        var password = "Basic " + Convert.ToBase64String("user:pass"u8);
        await using var proxy = new LoopbackPeer(async (request, stream, cancellationToken) =>
        {
            var answer = request["Proxy-Authorization"] == password
                ? "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"
                : $"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n{connection}\r\n";
            await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(answer), cancellationToken);
        });
        using var client = new RegistryClient(
            new RegistryClientOptions
            {
                BaseUrl = new Uri("http://registry.example.org/"),
                Proxy = NpmProxy.Create(new ProxySetting($"http://user:pass@127.0.0.1:{proxy.Port}", "here"), null, null, null),
            },
            new ByteBudget(1_000_000),
            TimeProvider.System,
            NullLogger.Instance);
        Assert.IsType<PackumentAnswer.Absent>(await GetAsync(client));
        Assert.Equal([null, password], proxy.Requests.Select(request => request["Proxy-Authorization"]));
    }

    private static RegistryCredentials CredentialsOf(LoopbackPeer peer) => new([KeyValuePair.Create($"//127.0.0.1:{peer.Port}/", "Bearer t0ken")]);

    private static Task<PackumentAnswer> GetAsync(RegistryClient client) =>
        client.GetPackumentAsync(PackageName.Parse("x"), default, isCacheBusted: false, TestContext.Current.CancellationToken);

    private static RegistryClient Client(LoopbackPeer peer, X509Certificate2 authority) => TlsClient(peer, options => options with { Authorities = [authority] });

    private static RegistryClient TlsClient(LoopbackPeer peer, Func<RegistryClientOptions, RegistryClientOptions> change) =>
        RegistryClientTests.Client(peer, options => change(options with { BaseUrl = new Uri($"https://localhost:{peer.Port}/") }));

    private static X509Certificate2 Authority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=test authority", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var now = TimeProvider.System.GetUtcNow();
        using var made = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(2));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
    }

    private static LoopbackPeer TlsPeer(X509Certificate2 authority, string host = "localhost", Action<X509Certificate?>? seen = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={host}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(host);
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        using var signed = request.Create(authority, now.AddHours(-1), now.AddDays(1), [1, 2, 3, (byte)host.Length]);
        using var withKey = signed.CopyWithPrivateKey(key);
        var certificate = X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pkcs12), null);
        return new LoopbackPeer(
            (_, stream, cancellationToken) => stream.WriteAsync(Encoding.UTF8.GetBytes(LoopbackPeer.Answer(404, "{}")), cancellationToken).AsTask(),
            async stream =>
            {
                var tls = new SslStream(stream);
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificate = certificate,
                    ClientCertificateRequired = seen is not null,
                    RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is null || certificate.Subject == authority.Subject,
                });
                seen?.Invoke(tls.RemoteCertificate);
                return tls;
            });
    }

    private static LoopbackPeer Tunnel(int port, string password) => new(async (request, stream, cancellationToken) =>
    {
        if (request["Proxy-Authorization"] != password)
        {
            await stream.WriteAsync("HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray(), cancellationToken);
            return;
        }

        using var target = new System.Net.Sockets.TcpClient();
        await target.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
        await stream.WriteAsync("HTTP/1.1 200 X\r\n\r\n"u8.ToArray(), cancellationToken);
        var forth = stream.CopyToAsync(target.GetStream(), cancellationToken);
        await target.GetStream().CopyToAsync(stream, cancellationToken);
    });
}
