using System.Security.Cryptography;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

/// <summary>An index as programs stored it before its hashes had a seed.</summary>
internal static class EarlierIndex
{
    public static byte[] Of(PackumentIndex index)
    {
        byte[] earlier = [1, .. index.ToBytes().AsSpan((1 + sizeof(ulong))..^4)];
        return [.. earlier, .. SHA256.HashData(earlier).AsSpan(0, 4)];
    }
}
