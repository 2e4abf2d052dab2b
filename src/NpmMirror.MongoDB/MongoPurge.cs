using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>Drops payloads and documents of a package's past.</summary>
internal sealed class MongoPurge(MongoSession session, Chunks chunks, MongoLog log)
{
    /// <summary>See <see cref="IPackageTable.PurgeAsync"/>.</summary>
    internal async ValueTask<long?> RunAsync(PackagePurge purge, CancellationToken cancellationToken)
    {
        var hashes = purge.Documents.Select(sha256 => sha256.Hex).ToHashSet(StringComparer.Ordinal);
        var stored = PackageDocument.Of(await session.RunAsync(
            PackageDocument.Collection,
            (packages, token) => packages.Find(new BsonDocument("_id", purge.Package.Value)).FirstOrDefaultAsync(token)!,
            cancellationToken));
        if (stored is null || stored.Generation != purge.ExpectedGeneration)
        {
            return null;
        }

        var bytes = 0L;
        var note = Guid.NewGuid().ToString("N");
        var set = new BsonDocument { ["generation"] = stored.Generation + 1, ["commit"] = note, ["unsettled"] = true, ["uncounted"] = true };
        var update = new BsonDocument("$set", set);
        if (stored.Document is { } document && Drop(document, hashes, ref bytes) is { } purged)
        {
            // What people query of it goes too.
            set.Set("document", purged).Set("content", note);
            update["$unset"] = new BsonDocument(PackageDocument.Write(columns: null).Select(field => new BsonElement(field.Name, "")));
        }

        set["archive"] = new BsonArray(Drop(stored.Archive, hashes, ref bytes));
        var filter = new BsonDocument { ["_id"] = purge.Package.Value, ["generation"] = purge.ExpectedGeneration };
        var result = await session.RunAsync(PackageDocument.Collection, (packages, token) => packages.UpdateOneAsync(filter, update, null, token), cancellationToken);
        if (result.MatchedCount == 0 && await ReadCommitAsync(purge.Package, cancellationToken) != note)
        {
            return null;
        }

        // The package counts as written by now: the rest may be done again.
        var kept = new PackageDocument(purge.Package, new BsonDocument(stored.Stored).Merge(set, overwriteExistingElements: true));
        await chunks.SweepAsync(PackageDocument.OwnerOf(purge.Package), stored.Generation + 1, kept.Blobs, cancellationToken);
        foreach (var position in purge.Payloads)
        {
            bytes += await log.PurgeAsync(purge.Package, position, cancellationToken);
        }

        await log.Numbering.SettleAsync(purge.Package, null);
        return bytes;
    }

    private async ValueTask<string?> ReadCommitAsync(PackageName name, CancellationToken cancellationToken) => (await session.RunAsync(
        PackageDocument.Collection,
        (packages, token) => packages.Find(new BsonDocument("_id", name.Value)).Project(new BsonDocument("commit", 1)).FirstOrDefaultAsync(token)!,
        cancellationToken))?.Text("commit");

    private static List<BsonDocument> Drop(IReadOnlyList<BsonDocument> archive, HashSet<string> hashes, ref long bytes)
    {
        var all = new List<BsonDocument>(archive.Count);
        foreach (var entry in archive)
        {
            all.Add(Drop(entry, hashes, ref bytes) ?? entry);
        }

        return all;
    }

    // Null where it stays as it is.
    private static BsonDocument? Drop(BsonDocument document, HashSet<string> hashes, ref long bytes)
    {
        if (document.Text("sha256") is not { } sha256 || !hashes.Contains(sha256) || document.Number("codec") == (int)DocumentCodec.Purged)
        {
            return null;
        }

        bytes += document.Part("bytes")?.Number("size") ?? 0;
        return new BsonDocument(document).Set("codec", (int)DocumentCodec.Purged).Set("bytes", new BsonDocument { ["size"] = 0, ["inline"] = new BsonBinaryData([]) });
    }
}
