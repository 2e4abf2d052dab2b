using System.Runtime.InteropServices;

namespace NpmMirror.Tests;

/// <summary>The decoder of the system's libzstd: what a client makes of a body.</summary>
internal static partial class Zstandard
{
    /// <summary>All frames of a body; fails when there is anything else in it.</summary>
    internal static byte[] Decompress(byte[] coded, int lengthMax)
    {
        var plain = new byte[lengthMax];
        var length = Decompress(plain, (nuint)plain.Length, coded, (nuint)coded.Length);
        Assert.Equal(0u, IsError(length));
        return plain[..(int)length];
    }

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_decompress")]
    private static partial nuint Decompress(byte[] target, nuint targetLength, byte[] source, nuint sourceLength);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_isError")]
    private static partial uint IsError(nuint result);
}
