using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <summary>An ECDSA P-256 key as registries sign versions with: real signatures, made at run time.</summary>
public sealed class FakeSigningKey : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    /// <summary>A new key; <paramref name="expires"/> ends the time in which it may have signed.</summary>
    public FakeSigningKey(DateTimeOffset? expires = null)
    {
        var publicKey = _key.ExportSubjectPublicKeyInfo();
        Expires = expires;
        PublicKey = Convert.ToBase64String(publicKey);
        KeyId = "SHA256:" + Convert.ToBase64String(SHA256.HashData(publicKey)).TrimEnd('=');
    }

    /// <summary>When it expired, or null.</summary>
    public DateTimeOffset? Expires { get; }

    /// <summary>Its name in signatures.</summary>
    public string KeyId { get; }

    /// <summary>The public half, SPKI in base64.</summary>
    public string PublicKey { get; }

    /// <summary>Signs a version as npm does: <c>name@version:integrity</c>.</summary>
    public string Sign(string name, string version, string integrity) =>
        Convert.ToBase64String(_key.SignData(Encoding.UTF8.GetBytes($"{name}@{version}:{integrity}"), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));

    /// <inheritdoc/>
    public void Dispose() => _key.Dispose();

    internal JsonObject ToJson() => new()
    {
        ["expires"] = Expires is { } expires ? FakeJson.Time(expires) : null,
        ["keyid"] = KeyId,
        ["keytype"] = "ecdsa-sha2-nistp256",
        ["scheme"] = "ecdsa-sha2-nistp256",
        ["key"] = PublicKey,
    };
}
