using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace NpmMirror.Tests;

/// <summary>Authorities, and servers' certificates that they issue, as the PEM files that servers and settings name.</summary>
internal static class ServerCertificates
{
    /// <summary>Writes <c>NAME-ca.pem</c>, an authority, and <c>NAME.pem</c> with <c>NAME.key</c>, a server on 127.0.0.1 that it vouches for.</summary>
    internal static void Write(TempFolder folder, string name)
    {
        using var authority = NewAuthority($"CN={name} authority");
        using var server = Issue(authority, IPAddress.Loopback);
        File.WriteAllText(folder.File($"{name}-ca.pem"), authority.ExportCertificatePem());
        File.WriteAllText(folder.File($"{name}.pem"), server.ExportCertificatePem());
        using var key = server.GetRSAPrivateKey()!;
        File.WriteAllText(folder.File($"{name}.key"), key.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>An authority: of its own, or one that another vouches for.</summary>
    internal static X509Certificate2 NewAuthority(string name, X509Certificate2? issuer = null)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        var now = TimeProvider.System.GetUtcNow();
        if (issuer is null)
        {
            return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(30));
        }

        using var made = request.Create(issuer, issuer.NotBefore, issuer.NotAfter, [4, 5, 6]);
        return made.CopyWithPrivateKey(key);
    }

    /// <summary>A server's certificate; <paramref name="purpose"/> is what it may be used for, anything by default.</summary>
    internal static X509Certificate2 Issue(X509Certificate2 authority, IPAddress server, string? purpose = null)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={server}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(server);
        request.CertificateExtensions.Add(names.Build());
        if (purpose is not null)
        {
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], critical: true));
        }

        using var made = request.Create(authority, authority.NotBefore, authority.NotAfter, [1, 2, 3]);
        return made.CopyWithPrivateKey(key);
    }
}
