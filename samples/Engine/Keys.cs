using System.Buffers.Binary;
using System.Text;
using NpmMirror;

namespace Engine;

/// <summary>Keys whose bytes are in the order of what they stand for.</summary>
internal static class Keys
{
    internal static byte[] Of(string text) => Encoding.UTF8.GetBytes(text);

    internal static byte[] Of(PackageName name) => Of(name.Value);

    /// <summary>A number from 0 on.</summary>
    internal static byte[] Of(long number)
    {
        var key = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(key, number);
        return key;
    }

    /// <summary>Several texts: a 0 ends each, and a 0 inside one is followed by 255, which no text has.</summary>
    internal static byte[] OfAll(params string[] texts) => [.. texts.SelectMany(text => Of(text).SelectMany(part => part == 0 ? (byte[])[0, 255] : [part]).Append((byte)0))];

    /// <summary>The least key after this one.</summary>
    internal static byte[] After(byte[] key) => [.. key, 0];
}
