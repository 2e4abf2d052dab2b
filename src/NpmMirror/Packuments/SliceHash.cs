using System.IO.Hashing;

namespace NpmMirror.Packuments;

/// <summary>
/// The lower half of XxHash128 over pieces of a document: it tells whether a piece changed, and nothing is named, chained or signed by it.
/// </summary>
/// <remarks>
/// It is fast, and no cryptographic hash: pairs of pieces can be written that have one hash under some seeds, whatever the seed is. So only a difference of two
/// hashes counts; where they are equal, the bytes decide. Each package's index has a seed of its own, so that the pairs of one are not those of another.
/// </remarks>
internal static class SliceHash
{
    /// <summary>Of one piece; 0 for none.</summary>
    public static ulong Of(ReadOnlySpan<byte> document, Slice slice, ulong seed) => slice.IsEmpty ? 0 : Next(seed, slice.Of(document));

    /// <summary>Of a manifest without its two URL values.</summary>
    public static ulong OfManifest(ReadOnlySpan<byte> document, Slice manifest, Slice tarballUrl, Slice attestationsUrl, ulong seed)
    {
        var (first, second) = tarballUrl.Offset <= attestationsUrl.Offset || attestationsUrl.IsEmpty ? (tarballUrl, attestationsUrl) : (attestationsUrl, tarballUrl);
        var (hash, start) = (seed, manifest.Offset);
        foreach (var url in (ReadOnlySpan<Slice>)[first, second])
        {
            if (!url.IsEmpty)
            {
                (hash, start) = (Next(hash, document[start..url.Offset]), url.Offset + url.Length);
            }
        }

        return Next(hash, document[start..(manifest.Offset + manifest.Length)]);
    }

    /// <summary>Of one more piece: the hash of those before it is its seed.</summary>
    public static ulong Next(ulong hash, ReadOnlySpan<byte> piece) => (ulong)XxHash128.HashToUInt128(piece, (long)hash);
}
