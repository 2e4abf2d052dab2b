using MongoDB.Bson;
using MongoDB.Driver;

namespace NpmMirror.MongoDB;

/// <summary>Tells packages of their numbers, and ends what their writes began.</summary>
internal sealed class MongoSettling(MongoSession session, Chunks chunks, MongoVersions versions)
{
    /// <summary>Tells each package of a step its last position, and takes its numbered events away.</summary>
    /// <param name="head">The step.</param>
    /// <param name="known">The packages, where they were read before it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal async ValueTask TellAsync(NumberedHead head, IReadOnlyList<UnsettledPackage>? known, CancellationToken cancellationToken)
    {
        var writes = head.Unfinished.Select(told => new UpdateOneModel<BsonDocument>(
            new BsonDocument { ["_id"] = told.Name.Value, ["round"] = new BsonDocument("$lt", head.Round) },
            new BsonDocument
            {
                ["$set"] = new BsonDocument("round", head.Round).With("lastPosition", told.Last > 0 ? BsonValues.Number(told.Last) : null),
                ["$pull"] = new BsonDocument("pending", new BsonDocument("generation", new BsonDocument("$lte", told.Generation))),
            }));
        await WriteAsync(writes, cancellationToken);

        // Where the packages are not known, their next commits find these pieces.
        var generations = head.Unfinished.ToDictionary(told => told.Name, told => told.Generation);
        await chunks.DropAsync(
            (known ?? []).SelectMany(package => package.Document.Pending.Where(entry => entry.Number("generation") <= generations.GetValueOrDefault(package.Document.Name)).Select(entry => entry.Part("bytes"))),
            cancellationToken);
    }

    /// <summary>Ends the work on packages: the versions of each are brought up to its document, unless that was done.</summary>
    internal async ValueTask EndAsync(IReadOnlyList<UnsettledPackage> packages, ILookup<PackageName, string> written, CancellationToken cancellationToken)
    {
        var writes = new List<WriteModel<BsonDocument>>();
        foreach (var package in packages)
        {
            var document = package.Document;
            var told = written[document.Name].ToList();

            // If another write came since, its versions may have been put under older ones.
            var isDone = told.Count == 0 ? document.Content == document.VersionsOf : told.All(note => note == document.Content);
            if (!isDone)
            {
                await RewriteAsync(document.Name, cancellationToken);
            }

            writes.Add(new UpdateOneModel<BsonDocument>(
                new BsonDocument { ["_id"] = document.Name.Value, ["commit"] = document.Commit },
                new BsonDocument { ["$unset"] = new BsonDocument("unsettled", ""), ["$set"] = new BsonDocument("versionsOf", document.Content ?? "") }));
        }

        await WriteAsync(writes, cancellationToken);
    }

    private async ValueTask RewriteAsync(PackageName name, CancellationToken cancellationToken)
    {
        var stored = PackageDocument.Of(await session.RunAsync(PackageDocument.Collection, (packages, token) => packages.Find(new BsonDocument("_id", name.Value)).FirstOrDefaultAsync(token)!, cancellationToken));
        if (stored is null)
        {
            return;
        }

        var form = stored.IsRemoved ? null : PackageDocument.ReadForm(stored.Document);
        var bytes = form is null ? null : await chunks.ReadAsync(stored.Document!.Part("bytes"), cancellationToken);
        var index = bytes is null ? null : await chunks.ReadAsync(stored.Index, cancellationToken);
        await versions.WriteAsync(name, stored.Generation, index is null ? null : MongoVersions.Read(name, form! with { Bytes = bytes }, index), cancellationToken);
    }

    private async ValueTask WriteAsync(IEnumerable<WriteModel<BsonDocument>> writes, CancellationToken cancellationToken)
    {
        List<WriteModel<BsonDocument>> all = [.. writes];
        if (all.Count > 0)
        {
            await session.RunAsync(PackageDocument.Collection, (packages, token) => packages.BulkWriteAsync(all, new BulkWriteOptions { IsOrdered = false }, token), cancellationToken);
        }
    }
}
