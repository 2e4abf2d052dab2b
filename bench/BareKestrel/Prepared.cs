using System.Security.Cryptography;
using Microsoft.Extensions.Primitives;

namespace BareKestrel;

/// <summary>One answer, ready to be written.</summary>
internal sealed record Prepared(byte[] Body, StringValues ContentType, StringValues ETag)
{
    /// <summary>Reads a body that is compressed already.</summary>
    public static Prepared Read(string file, string contentType)
    {
        var body = File.ReadAllBytes(file);
        return new(body, contentType, $"\"{Convert.ToHexStringLower(SHA256.HashData(body).AsSpan(0, 16))}\"");
    }
}
