using System.Globalization;
using System.Text;
using System.Text.Json;
using NpmMirror.Log;

namespace NpmMirror.Redis;

/// <summary>
/// Events as texts that a person can read too: numbers for scripts, the columns as JSON on the first line, then the payload as it came. An event that waits
/// begins with its generation and ordinal, a row of the log with its position.
/// </summary>
internal static class EventText
{
    private const byte LineEnd = (byte)'\n';

    /// <summary>Stands where a row of the log names no package.</summary>
    private static readonly PackageName NoPackage = PackageName.Parse("(damaged)");

    internal static byte[] Write(long generation, PendingEvent pending)
    {
        var json = JsonSerializer.Serialize(
            new PendingText { Type = pending.Type, At = pending.At.Truncated(), SeenAt = pending.SeenAt.Truncated(), UpstreamRev = pending.UpstreamRev },
            StoredJson.Default.PendingText);
        return Join(string.Create(CultureInfo.InvariantCulture, $"{generation} {pending.Ordinal} {json}"), pending.Payload.Span);
    }

    /// <summary>Reads an event that waits; null if the text is no event.</summary>
    internal static (long Generation, PendingEvent Event)? ReadPending(byte[] text)
    {
        var (line, payload) = Split(text);
        try
        {
            if (line.Split(' ', 3) is [var first, var second, var json]
                && long.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var generation)
                && int.TryParse(second, NumberStyles.None, CultureInfo.InvariantCulture, out var ordinal)
                && JsonSerializer.Deserialize(json, StoredJson.Default.PendingText) is { } read)
            {
                return (generation, new PendingEvent { Ordinal = ordinal, Type = read.Type, At = read.At, SeenAt = read.SeenAt, UpstreamRev = read.UpstreamRev, Payload = payload });
            }
        }
        catch (JsonException)
        {
            // Another program wrote it.
        }

        return null;
    }

    internal static byte[] Write(LogRow row)
    {
        var json = JsonSerializer.Serialize(
            new LogText
            {
                Package = row.Package.Value,
                Generation = row.Generation,
                Ordinal = row.Ordinal,
                Type = row.Type,
                At = row.At,
                SeenAt = row.SeenAt,
                UpstreamRev = row.UpstreamRev,
                PayloadSha256 = row.PayloadSha256.Hex,
                Hash = row.Hash.Hex,
                IsPurged = row.Payload is null,
            },
            StoredJson.Default.LogText);
        return Join(string.Create(CultureInfo.InvariantCulture, $"{row.Position.Value} {json}"), row.Payload is { } payload ? payload.Span : default);
    }

    /// <summary>Reads a row, whatever is in it: positions are dense, and a reader that missed one would look for it for ever.</summary>
    internal static LogRow ReadRow(LogPosition position, byte[] text)
    {
        var (line, payload) = Split(text);
        try
        {
            if (line.Split(' ', 2) is [_, var json]
                && JsonSerializer.Deserialize(json, StoredJson.Default.LogText) is { } read
                && PackageName.TryParse(read.Package, out var package)
                && Digest.TryFromHex(read.PayloadSha256, out var payloadSha256)
                && Digest.TryFromHex(read.Hash, out var hash))
            {
                return new LogRow
                {
                    Position = position,
                    Package = package,
                    Generation = read.Generation,
                    Ordinal = read.Ordinal,
                    Type = read.Type,
                    At = read.At,
                    SeenAt = read.SeenAt,
                    UpstreamRev = read.UpstreamRev,
                    Payload = read.IsPurged ? (ReadOnlyMemory<byte>?)null : payload,
                    PayloadSha256 = payloadSha256,
                    Hash = hash,
                };
            }
        }
        catch (JsonException)
        {
            // Told as damaged.
        }

        var nothing = new Digest(new byte[System.Security.Cryptography.SHA256.HashSizeInBytes]);
        return new LogRow
        {
            Position = position,
            Package = NoPackage,
            Generation = 0,
            Ordinal = 0,
            Type = "",
            SeenAt = DateTimeOffset.UnixEpoch,
            Payload = null,
            PayloadSha256 = nothing,
            Hash = nothing,
            Damage = string.Create(CultureInfo.InvariantCulture, $"The row {position.Value} of the log has {MirrorException.Quote(line.Length > 40 ? line[..40] + "…" : line)}, which npm-mirror never writes."),
        };
    }

    private static byte[] Join(string line, ReadOnlySpan<byte> payload)
    {
        var length = Encoding.UTF8.GetByteCount(line);
        var text = new byte[length + 1 + payload.Length];
        Encoding.UTF8.GetBytes(line, text);
        text[length] = LineEnd;
        payload.CopyTo(text.AsSpan(length + 1));
        return text;
    }

    private static (string Line, byte[] Payload) Split(byte[] text)
    {
        var end = Array.IndexOf(text, LineEnd);
        return end < 0 ? (Encoding.UTF8.GetString(text), []) : (Encoding.UTF8.GetString(text, 0, end), text[(end + 1)..]);
    }
}
