using System.Buffers;

namespace NpmMirror.Packuments;

/// <summary>The two forms of a packument that clients ask for.</summary>
public enum PackumentForm
{
    /// <summary><c>application/json</c>: everything the upstream sent.</summary>
    Full,

    /// <summary><c>application/vnd.npm.install-v1+json</c>: what an install needs.</summary>
    Abbreviated,
}

/// <summary>Writes what clients get by copying slices of upstream's bytes; only the two URLs of each version are replaced.</summary>
public static class PackumentWriter
{
    /// <summary>The version of what this class writes: part of every ETag, raised when the output changes.</summary>
    public const int RendererVersion = 1;

    /// <summary>Writes a whole document.</summary>
    /// <param name="form">Full or abbreviated.</param>
    /// <param name="index">The document's index.</param>
    /// <param name="document">The document's raw bytes.</param>
    /// <param name="baseUrl">The registry's public address without a trailing slash.</param>
    /// <param name="name">The package.</param>
    /// <param name="output">Where to write.</param>
    public static void Write(PackumentForm form, PackumentIndex index, ReadOnlySpan<byte> document, PackageName name, string baseUrl, IBufferWriter<byte> output) => throw new NotImplementedException();

    /// <summary>Writes one full manifest.</summary>
    public static void WriteManifest(VersionEntry version, ReadOnlySpan<byte> document, PackageName name, string baseUrl, IBufferWriter<byte> output) => throw new NotImplementedException();
}
