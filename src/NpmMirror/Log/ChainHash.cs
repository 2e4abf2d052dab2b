using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace NpmMirror.Log;

/// <summary>
/// The chain over the log: <c>hash(n) = SHA-256(hash(n−1) ‖ header(n) ‖ SHA-256(payload(n)))</c>. A reader that noted an earlier head
/// notices a changed past. The header's layout is fixed, so that every engine, and a copy, arrives at the same hashes.
/// </summary>
public static class ChainHash
{
    /// <summary>The hash before the first row: 32 zero bytes.</summary>
    public static Digest Genesis { get; } = new(new byte[SHA256.HashSizeInBytes]);

    /// <summary>Gives a pending event its row: position and link.</summary>
    public static LogRow Append(LogPosition previousPosition, Digest previousHash, PackageName package, long generation, PendingEvent pending)
    {
        var row = new LogRow
        {
            Position = new LogPosition(previousPosition.Value + 1),
            Package = package,
            Generation = generation,
            Ordinal = pending.Ordinal,
            Type = pending.Type,
            At = pending.At,
            SeenAt = pending.SeenAt,
            UpstreamRev = pending.UpstreamRev,
            Payload = pending.Payload,
            PayloadSha256 = Digest.OfSha256(pending.Payload.Span),
            Hash = default,
        };
        return row with { Hash = Next(previousHash, row) };
    }

    /// <summary>The link of a row, from the hash before it; <see cref="LogRow.Hash"/> is not read.</summary>
    public static Digest Next(Digest previousHash, LogRow row)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(previousHash.Bytes);
        AppendInt64(hash, row.Position.Value);
        AppendInt64(hash, row.At?.ToUnixTimeMilliseconds() ?? long.MinValue);
        AppendInt64(hash, row.SeenAt.ToUnixTimeMilliseconds());
        AppendInt64(hash, row.Generation);
        AppendInt64(hash, row.Ordinal);
        AppendText(hash, row.Package.Value);
        AppendText(hash, row.Type);
        AppendText(hash, row.UpstreamRev);
        hash.AppendData(row.PayloadSha256.Bytes);
        return new Digest(hash.GetHashAndReset());
    }

    private static void AppendInt64(IncrementalHash hash, long value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        hash.AppendData(bytes);
    }

    private static void AppendText(IncrementalHash hash, string? text)
    {
        // -1 tells "none" from "empty".
        AppendInt64(hash, text is null ? -1 : Encoding.UTF8.GetByteCount(text));
        if (text is not null)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(text));
        }
    }
}
