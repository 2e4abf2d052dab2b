using System.Security.Cryptography;
using MongoDB.Bson;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>A tarball in the collection <c>tarballs</c>. One that was forgotten stays until it is counted.</summary>
internal static class TarballDocument
{
    internal const string Collection = "tarballs";

    internal static BsonDocument IdOf(PackageName package, string file) => new() { ["package"] = package.Value, ["file"] = BsonValues.Text(file) };

    internal static bool IsHeld(BsonDocument stored) => !stored.Flag("gone") && stored.Number("state") == (int)TarballState.Held;

    /// <summary>The row; null for one that was forgotten, or of no package.</summary>
    internal static TarballRow? Read(BsonDocument? stored)
    {
        if (stored is null || stored.Flag("gone") || !PackageName.TryParse(stored.Text("package"), out var package) || stored.Text("file") is not { } file)
        {
            return null;
        }

        var hasState = stored.Number("state") is { } state && Enum.IsDefined((TarballState)state);
        var hasDigest = Digest.TryFromHex(stored.Text("sha512") ?? "", out var sha512) && sha512.Bytes.Length == SHA512.HashSizeInBytes;
        var damaged = !hasState ? "state" : IsHeld(stored) && !hasDigest ? "sha512" : stored.Text("version") is null ? "version" : stored.Number("size") is null or < 0 ? "size" : null;
        return damaged is not null
            ? new TarballRow
            {
                Package = package,
                File = file,
                Version = "",
                State = TarballState.Missing,
                Damage = new StoreDamage(Collection, $"{package} {file}", damaged, stored.Shown(damaged)) { Package = package },
            }
            : new TarballRow
            {
                Package = package,
                File = file,
                Version = stored.Text("version")!,
                State = (TarballState)stored.Number("state")!.Value,
                Sha512 = hasDigest ? sha512 : default,
                SizeBytes = stored.Number("size")!.Value,
                UpstreamUrl = stored.Text("upstreamUrl"),
                VerifiedAt = stored.Moment("verifiedAt"),
                LastServedAt = stored.Moment("lastServedAt"),
                Problem = stored.Text("problem"),
            };
    }

    /// <summary>The document of a row that takes the place of another.</summary>
    internal static BsonDocument Write(TarballRow row, BsonDocument? before, string commit) => new BsonDocument
    {
        ["_id"] = IdOf(row.Package, row.File),
        ["package"] = row.Package.Value,
        ["file"] = BsonValues.Text(row.File),
        ["version"] = BsonValues.Text(row.Version),
        ["state"] = (int)row.State,
        ["size"] = row.SizeBytes,
        ["commit"] = commit,
        ["uncounted"] = true,
        ["tallied"] = before?.Number("tallied") ?? 0,
    }
        .With("counted", before?.Part("counted"))
        .With("sha512", row.Sha512.IsEmpty ? null : row.Sha512.Hex)
        .With("upstreamUrl", BsonValues.Bson(row.UpstreamUrl))
        .With("verifiedAt", BsonValues.Bson(row.VerifiedAt))
        .With("lastServedAt", BsonValues.Bson(row.LastServedAt))
        .With("problem", BsonValues.Bson(row.Problem));
}
