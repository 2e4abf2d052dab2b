using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace NpmMirror.Tests;

/// <summary>Whose certificates are trusted on a connection to a store's server or an upstream.</summary>
public sealed class CertificateAuthoritiesTests : IDisposable
{
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Claim("A server's certificate is trusted only of an authority that the system or a setting names, for its own name and as a server's",
        With = [nameof(A_certificate_for_another_use_or_another_name_is_refused), nameof(An_intermediate_authority_that_the_server_sends_is_followed)],
        Red = "`CertificateAuthorities.NewPolicy` names no purpose; `IsTrusted` looks at no error of the name")]
    [Fact]
    public void Each_authority_of_a_file_is_trusted_and_no_other()
    {
        using var one = ServerCertificates.NewAuthority("CN=one");
        using var two = ServerCertificates.NewAuthority("CN=two");
        using var other = ServerCertificates.NewAuthority("CN=other");
        var authorities = Load(one, two);
        foreach (var (issuer, isTrusted) in new[] { (one, true), (two, true), (other, false) })
        {
            using var server = ServerCertificates.Issue(issuer, IPAddress.Loopback);
            Assert.Equal(isTrusted, authorities.IsTrusted(server, null, SslPolicyErrors.RemoteCertificateChainErrors));
        }
    }

    [Fact]
    public void A_certificate_for_another_use_or_another_name_is_refused()
    {
        using var authority = ServerCertificates.NewAuthority("CN=one");
        var authorities = Load(authority);
        using var client = ServerCertificates.Issue(authority, IPAddress.Loopback, ClientAuthentication);
        using var server = ServerCertificates.Issue(authority, IPAddress.Loopback);
        Assert.False(authorities.IsTrusted(client, null, SslPolicyErrors.RemoteCertificateChainErrors));
        Assert.False(authorities.IsTrusted(server, null, SslPolicyErrors.RemoteCertificateChainErrors | SslPolicyErrors.RemoteCertificateNameMismatch));
        Assert.False(authorities.IsTrusted(server, null, SslPolicyErrors.RemoteCertificateNameMismatch));
        Assert.False(authorities.IsTrusted(null, null, SslPolicyErrors.RemoteCertificateNotAvailable));
        Assert.True(authorities.IsTrusted(server, null, SslPolicyErrors.None));
    }

    [Fact]
    public void An_intermediate_authority_that_the_server_sends_is_followed()
    {
        using var root = ServerCertificates.NewAuthority("CN=root");
        using var between = ServerCertificates.NewAuthority("CN=between", root);
        using var server = ServerCertificates.Issue(between, IPAddress.Loopback);
        var authorities = Load(root);
        using var sent = new X509Chain();
        Assert.False(authorities.IsTrusted(server, sent, SslPolicyErrors.RemoteCertificateChainErrors));
        sent.ChainPolicy.ExtraStore.Add(between);
        Assert.True(authorities.IsTrusted(server, sent, SslPolicyErrors.RemoteCertificateChainErrors));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("no certificate")]
    [InlineData("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
    public void A_file_without_a_certificate_is_told_with_its_setting(string? text)
    {
        var file = _folder.File("ca.pem");
        if (text is not null)
        {
            File.WriteAllText(file, text);
        }

        var failure = Assert.Throws<MirrorException>(() => CertificateAuthorities.Load(file, "store.options.ca"));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.StartsWith("store.options.ca names ", failure.Message, StringComparison.Ordinal);
        Assert.Contains("ca.pem", failure.Message, StringComparison.Ordinal);
    }

    private CertificateAuthorities Load(params X509Certificate2[] authorities)
    {
        var file = _folder.File("ca.pem");
        File.WriteAllLines(file, authorities.Select(authority => authority.ExportCertificatePem()));
        return CertificateAuthorities.Load(file, "ca");
    }
}
