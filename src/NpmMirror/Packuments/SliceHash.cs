using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;

namespace NpmMirror.Packuments;

/// <summary>The first 8 bytes of a SHA-256 over pieces of a document.</summary>
internal static class SliceHash
{
    // Above this, gathering the pieces costs more than hashing them one by one.
    private const int GatherMaxBytes = 32 * 1024;

    /// <summary>Of one piece; 0 for none.</summary>
    public static ulong Of(ReadOnlySpan<byte> document, Slice slice)
    {
        if (slice.IsEmpty)
        {
            return 0;
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(slice.Of(document), hash);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }

    /// <summary>Of a manifest without its two URL values.</summary>
    public static ulong OfManifest(ReadOnlySpan<byte> document, Slice manifest, Slice tarballUrl, Slice attestationsUrl)
    {
        var (first, second) = tarballUrl.Offset <= attestationsUrl.Offset || attestationsUrl.IsEmpty ? (tarballUrl, attestationsUrl) : (attestationsUrl, tarballUrl);
        if (first.IsEmpty)
        {
            (first, second) = (second, default);
        }

        if (first.IsEmpty)
        {
            return Of(document, manifest);
        }

        var end = manifest.Offset + manifest.Length;
        var before = document[manifest.Offset..first.Offset];
        var between = second.IsEmpty ? default : document[(first.Offset + first.Length)..second.Offset];
        var after = second.IsEmpty ? document[(first.Offset + first.Length)..end] : document[(second.Offset + second.Length)..end];
        return manifest.Length > GatherMaxBytes ? OfParts(before, between, after) : OfGathered(before, between, after);
    }

    private static ulong OfGathered(ReadOnlySpan<byte> before, ReadOnlySpan<byte> between, ReadOnlySpan<byte> after)
    {
        // One call of the hash function costs more than copying a manifest.
        var length = before.Length + between.Length + after.Length;
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        before.CopyTo(buffer);
        between.CopyTo(buffer.AsSpan(before.Length));
        after.CopyTo(buffer.AsSpan(before.Length + between.Length));
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(buffer.AsSpan(0, length), hash);
        ArrayPool<byte>.Shared.Return(buffer);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }

    private static ulong OfParts(ReadOnlySpan<byte> before, ReadOnlySpan<byte> between, ReadOnlySpan<byte> after)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(before);
        hash.AppendData(between);
        hash.AppendData(after);
        return Finish(hash);
    }

    /// <summary>The end of a hash over many pieces.</summary>
    public static ulong Finish(IncrementalHash hash)
    {
        Span<byte> bytes = stackalloc byte[SHA256.HashSizeInBytes];
        hash.GetHashAndReset(bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }
}
