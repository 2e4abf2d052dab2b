using System.Security.Cryptography;
using System.Text.Json;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>A tarball's row as it is stored.</summary>
/// <param name="Stored">The text; null where there is none.</param>
/// <param name="Row">The row as read; null if there is none.</param>
/// <param name="Reference">Under which name the bytes' own list has the row; null where it has not.</param>
internal sealed record StoredTarball(RedisValue Stored, TarballRow? Row, string? Reference)
{
    internal bool IsHeld => Row is { State: TarballState.Held, Damage: null };

    internal long HeldBytes => IsHeld ? Row!.SizeBytes : 0;

    internal static StoredTarball Read(PackageName package, string file, RedisValue stored)
    {
        if (stored.IsNull)
        {
            return new StoredTarball(stored, null, null);
        }

        try
        {
            if (JsonSerializer.Deserialize((byte[])stored!, StoredJson.Default.TarballText) is { } text && Enum.IsDefined(text.State) && TryReadDigest(text, out var sha512))
            {
                var row = new TarballRow
                {
                    Package = package,
                    File = file,
                    Version = text.Version,
                    State = text.State,
                    Sha512 = sha512,
                    SizeBytes = text.SizeBytes,
                    UpstreamUrl = text.UpstreamUrl,
                    VerifiedAt = text.VerifiedAt,
                    LastServedAt = text.LastServedAt,
                    Problem = text.Problem,
                };
                return new StoredTarball(stored, row, text.Reference);
            }
        }
        catch (JsonException)
        {
            // Told as damaged.
        }

        var shown = (string)stored!;
        var damage = new StoreDamage("tarballs", $"{package} {file}", "row", MirrorException.Quote(shown.Length > 40 ? shown[..40] + "…" : shown)) { Package = package };
        return new StoredTarball(stored, new TarballRow { Package = package, File = file, Version = "", State = TarballState.Missing, Damage = damage }, null);
    }

    internal static byte[] Write(TarballRow row, string? reference) => JsonSerializer.SerializeToUtf8Bytes(
        new TarballText
        {
            Version = row.Version,
            State = row.State,
            Sha512 = row.Sha512.IsEmpty ? null : row.Sha512.Hex,
            SizeBytes = row.SizeBytes,
            UpstreamUrl = row.UpstreamUrl,
            VerifiedAt = row.VerifiedAt.Truncated(),
            LastServedAt = row.LastServedAt.Truncated(),
            Problem = row.Problem,
            Reference = reference,
        },
        StoredJson.Default.TarballText);

    // A held row without its hash names no bytes.
    private static bool TryReadDigest(TarballText text, out Digest sha512)
    {
        sha512 = default;
        return text.Sha512 is null ? text.State != TarballState.Held : Digest.TryFromHex(text.Sha512, out sha512) && sha512.Bytes.Length == SHA512.HashSizeInBytes;
    }
}
