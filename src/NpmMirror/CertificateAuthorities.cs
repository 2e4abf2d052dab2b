using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace NpmMirror;

/// <summary>Authorities whose word is taken for a server's certificate: of npm's settings for an upstream, of a PEM file for a store's server.</summary>
public sealed class CertificateAuthorities
{
    // TLS server authentication (RFC 5280 §4.2.1.12).
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    private readonly X509Certificate2Collection _certificates;

    internal CertificateAuthorities(X509Certificate2Collection certificates) => _certificates = certificates;

    /// <summary>Reads all certificates of a PEM file.</summary>
    /// <param name="file">The path.</param>
    /// <param name="setting">The setting that names the file, for messages.</param>
    /// <exception cref="MirrorException">The file cannot be read, or holds no certificate.</exception>
    public static CertificateAuthorities Load(string file, string setting)
    {
        var certificates = new X509Certificate2Collection();
        try
        {
            certificates.ImportFromPemFile(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new MirrorException(MirrorFault.Configuration, $"{setting} names {MirrorException.Quote(file)}, which cannot be read ({e.Message}); give the path of a PEM file.", inner: e);
        }

        return certificates.Count > 0
            ? new(certificates)
            : throw new MirrorException(MirrorFault.Configuration, $"{setting} names {MirrorException.Quote(file)}, which holds no certificate; give the path of a PEM file.");
    }

    /// <summary>A policy by which a chain is built to these authorities and to no other.</summary>
    public X509ChainPolicy NewPolicy()
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.ApplicationPolicy.Add(new Oid(ServerAuthentication));
        policy.CustomTrustStore.AddRange(_certificates);
        return policy;
    }

    /// <summary>Whether the system trusts a server, or one of these authorities issued its certificate: the check of a TLS connection.</summary>
    /// <param name="certificate">The server's certificate.</param>
    /// <param name="sent">The chain, with the certificates that the server sent beside its own.</param>
    /// <param name="errors">What the system objects to. A wrong name is never trusted.</param>
    public bool IsTrusted(X509Certificate? certificate, X509Chain? sent, SslPolicyErrors errors) =>
        errors == SslPolicyErrors.None || (errors == SslPolicyErrors.RemoteCertificateChainErrors && certificate is X509Certificate2 own && HaveIssued(own, sent));

    /// <summary>Whether one of these authorities issued a certificate.</summary>
    internal bool HaveIssued(X509Certificate2 certificate, X509Chain? sent)
    {
        using var chain = new X509Chain { ChainPolicy = NewPolicy() };
        if (sent is not null)
        {
            chain.ChainPolicy.ExtraStore.AddRange(sent.ChainPolicy.ExtraStore);
        }

        return chain.Build(certificate);
    }
}
