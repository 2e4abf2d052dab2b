using System.Security.Cryptography;
using Microsoft.Extensions.Primitives;

namespace BareKestrel;

/// <summary>One answer, ready to be written; a tarball's bytes are read from its file for each request.</summary>
internal sealed record Prepared(byte[] Body, string? File, StringValues ContentType, StringValues ETag)
{
    private const string TarballType = "application/octet-stream";

    /// <summary>Reads a body that is compressed already.</summary>
    public static Prepared Read(string file, string contentType)
    {
        var body = System.IO.File.ReadAllBytes(file);
        return new(body, contentType == TarballType ? file : null, contentType, $"\"{Convert.ToHexStringLower(SHA256.HashData(body).AsSpan(0, 16))}\"");
    }
}
