using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using NpmMirror.Packuments;
using NpmMirror.Visibility;

namespace NpmMirror.Renditions;

/// <summary>Selects one of a package's many representations.</summary>
/// <param name="View">The visible versions.</param>
/// <param name="Form">Full or abbreviated; a manifest is always full.</param>
/// <param name="Version">The version of a single manifest; null for the whole packument.</param>
/// <param name="BaseUrl">The registry's public address that URLs begin with, without a trailing slash.</param>
/// <param name="Coding">The compression of the bytes.</param>
internal sealed record RenditionKey(View View, PackumentForm Form, string? Version, string BaseUrl, ContentCoding Coding)
{
    /// <summary>
    /// The strong ETag of this representation of a document, quotes included: from the document's hash alone, so that answering
    /// 304 never needs the body. The compression level is no part of it.
    /// </summary>
    public string ETagOf(Digest documentSha256)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(documentSha256.Bytes);
        AppendNumber(hash, PackumentWriter.RendererVersion);
        AppendNumber(hash, (int)Form);
        AppendNumber(hash, (int)Coding);
        AppendText(hash, View.Key);
        AppendText(hash, Version);
        AppendText(hash, BaseUrl);
        // 128 bits, 32 digits: as long as the registry's own.
        return $"\"{Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16))}\"";
    }

    private static void AppendNumber(IncrementalHash hash, int value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        hash.AppendData(bytes);
    }

    private static void AppendText(IncrementalHash hash, string? text)
    {
        AppendNumber(hash, text is null ? -1 : Encoding.UTF8.GetByteCount(text));
        hash.AppendData(Encoding.UTF8.GetBytes(text ?? ""));
    }
}
