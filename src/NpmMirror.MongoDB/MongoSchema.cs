using System.Globalization;
using MongoDB.Bson;
using MongoDB.Driver;

namespace NpmMirror.MongoDB;

/// <summary>The collections, their indexes, and the version of both.</summary>
internal static class MongoSchema
{
    /// <summary>Single documents: the schema, the log's end, sums.</summary>
    internal const string State = "state";

    // 2: documents are Zstandard, which programs of before do not read.
    private const int Version = 2;
    private const string Id = "schema";

    // Each index is for a question: of people, of the mirror, or for work that waits.
    private static readonly (string Collection, string Name, BsonDocument Key, bool IsSparse)[] Indexes =
    [
        (PackageDocument.Collection, "keywords", new BsonDocument("keywords", 1), false),
        (PackageDocument.Collection, "maintainers", new BsonDocument("maintainers", 1), false),
        (PackageDocument.Collection, "license", new BsonDocument("license", 1), false),
        (PackageDocument.Collection, "distTags", new BsonDocument { ["distTags.tag"] = 1, ["distTags.version"] = 1 }, false),
        (PackageDocument.Collection, "listed", new BsonDocument { ["removed"] = 1, ["_id"] = 1 }, false),
        (PackageDocument.Collection, "changes", new BsonDocument("lastPosition", 1), false),
        (PackageDocument.Collection, "unsettled", new BsonDocument("unsettled", 1), true),
        (PackageDocument.Collection, "uncounted", new BsonDocument("uncounted", 1), true),
        (MongoVersions.Collection, "versions", new BsonDocument { ["package"] = 1, ["version"] = 1 }, false),
        (MongoVersions.Collection, "version", new BsonDocument("version", 1), false),
        (MongoVersions.Collection, "dependencies", new BsonDocument("dependencies.name", 1), false),
        (MongoVersions.Collection, "published", new BsonDocument("publishedAt", 1), false),
        (MongoVersions.Collection, "license", new BsonDocument("license", 1), false),
        (Chunks.Collection, "owners", new BsonDocument { ["owner"] = 1, ["generation"] = 1 }, false),
        (LogDocument.Collection, "history", new BsonDocument { ["package"] = 1, ["_id"] = 1 }, false),
        (QueueDocument.Collection, "due", new BsonDocument { ["priority"] = 1, ["dueAt"] = 1, ["_id"] = 1 }, false),
        (QueueDocument.Collection, "next", new BsonDocument("dueAt", 1), false),
        (QueueDocument.Collection, "leased", new BsonDocument("leasedUntil", 1), false),
        (TarballDocument.Collection, "blobs", new BsonDocument("sha512", 1), false),
        (TarballDocument.Collection, "uncounted", new BsonDocument("uncounted", 1), true),
        (MongoAccesses.Collection, "days", new BsonDocument("day", 1), false),
    ];

    /// <summary>Makes what is missing.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreSchema"/>: a newer program was here.</exception>
    internal static async Task EnsureAsync(MongoSession session, CancellationToken cancellationToken)
    {
        var stored = await session.RunAsync(State, (state, token) => state.Find(new BsonDocument("_id", Id)).FirstOrDefaultAsync(token)!, cancellationToken);
        if (stored is not null && (stored.Number("version") is not { } version || version > Version))
        {
            throw new MirrorException(
                MirrorFault.StoreSchema,
                string.Create(CultureInfo.InvariantCulture, $"{session.Location} was written by a newer npm-mirror (its schema is {stored.Shown("version")}, this program knows {Version}); run that one."));
        }

        if (stored?.Number("version") is { } older && older < Version)
        {
            // Unless another program, perhaps a newer one, has changed it meanwhile.
            await session.RunAsync(
                State,
                (state, token) => state.UpdateOneAsync(new BsonDocument { ["_id"] = Id, ["version"] = older }, new BsonDocument("$set", new BsonDocument("version", Version)), cancellationToken: token),
                cancellationToken);
        }

        if (stored is null)
        {
            foreach (var ofCollection in Indexes.GroupBy(index => index.Collection))
            {
                var models = ofCollection.Select(index => new CreateIndexModel<BsonDocument>(index.Key, new CreateIndexOptions { Name = index.Name, Sparse = index.IsSparse ? true : null })).ToList();
                await session.RunAsync(ofCollection.Key, (collection, token) => collection.Indexes.CreateManyAsync(models, token), cancellationToken);
            }

            // Last: what a dead process left half made is made again.
            await session.RunAsync(
                State,
                (state, token) => state.ReplaceOneAsync(new BsonDocument("_id", Id), new BsonDocument { ["_id"] = Id, ["version"] = Version }, new ReplaceOptions { IsUpsert = true }, token),
                cancellationToken);
        }
    }
}
