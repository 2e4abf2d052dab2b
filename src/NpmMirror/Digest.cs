using System.Security.Cryptography;

namespace NpmMirror;

/// <summary>A cryptographic hash: SHA-256 of documents and log rows, SHA-512 of tarballs. Compared by value.</summary>
public readonly struct Digest : IEquatable<Digest>
{
    private readonly byte[]? _bytes;

    /// <summary>Takes a copy of the hash's bytes.</summary>
    public Digest(ReadOnlySpan<byte> bytes) => _bytes = bytes.ToArray();

    /// <summary>The hash's bytes; empty for <c>default</c>.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>True for <c>default</c>: no hash.</summary>
    public bool IsEmpty => _bytes is null or { Length: 0 };

    /// <summary>Lower-case hexadecimal.</summary>
    public string Hex => Convert.ToHexStringLower(Bytes);

    /// <summary>The SHA-256 of the bytes.</summary>
    public static Digest OfSha256(ReadOnlySpan<byte> data)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(data, hash);
        return new Digest(hash);
    }

    /// <summary>Reads hexadecimal text.</summary>
    /// <exception cref="FormatException">The text is not hexadecimal.</exception>
    public static Digest FromHex(string hex) => new(Convert.FromHexString(hex));

    /// <summary>Reads hexadecimal text; false if it is not valid.</summary>
    public static bool TryFromHex(string hex, out Digest digest)
    {
        var isHex = hex.Length % 2 == 0 && hex.All(char.IsAsciiHexDigit);
        digest = isHex ? FromHex(hex) : default;
        return isHex;
    }

    /// <inheritdoc/>
    public bool Equals(Digest other) => Bytes.SequenceEqual(other.Bytes);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Digest other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Bytes.Length >= 4 ? BitConverter.ToInt32(Bytes) : 0;

    /// <inheritdoc/>
    public override string ToString() => Hex;

    /// <summary>The same hash.</summary>
    public static bool operator ==(Digest left, Digest right) => left.Equals(right);

    /// <summary>Another hash.</summary>
    public static bool operator !=(Digest left, Digest right) => !left.Equals(right);
}
