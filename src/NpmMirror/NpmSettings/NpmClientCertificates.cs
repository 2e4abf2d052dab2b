using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace NpmMirror.NpmSettings;

/// <summary>npm's <c>//host/:certfile</c> and <c>//host/:keyfile</c>: the certificate that a host wants to see of its clients.</summary>
internal static class NpmClientCertificates
{
    /// <summary>The certificates by host name; of several settings for one host the first counts.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: one of the two is missing, or a file cannot be read or is no PEM.</exception>
    internal static Dictionary<string, X509Certificate2> Read(IEnumerable<string> prefixes, Func<string, string?> setting)
    {
        var certificates = new Dictionary<string, X509Certificate2>(StringComparer.OrdinalIgnoreCase);
        foreach (var prefix in prefixes)
        {
            var (certificate, key) = (setting($"{prefix}:certfile"), setting($"{prefix}:keyfile"));
            if ((certificate ?? key) is null || HeaderValues.Address($"https:{prefix}") is not { } address || certificates.ContainsKey(address.IdnHost))
            {
                continue;
            }

            certificates.Add(address.IdnHost, certificate is not null && key is not null
                ? Load(prefix, certificate, key)
                : throw new MirrorException(MirrorFault.Configuration, $"npm's settings for {prefix} have {(certificate is null ? "keyfile" : "certfile")} without {(certificate is null ? "certfile" : "keyfile")}; give both, or neither."));
        }

        return certificates;
    }

    private static X509Certificate2 Load(string prefix, string certificate, string key)
    {
        try
        {
            // Some platforms' TLS takes no key that lives in memory only; all take one from PKCS #12.
            using var read = X509Certificate2.CreateFromPemFile(certificate, key);
            return X509CertificateLoader.LoadPkcs12(read.Export(X509ContentType.Pkcs12), null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new MirrorException(MirrorFault.Configuration, $"npm's settings certfile and keyfile for {prefix} name {certificate} and {key}, which give no certificate with its key ({exception.Message}); correct or remove them.", inner: exception);
        }
    }
}
