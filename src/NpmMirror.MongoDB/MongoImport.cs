using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>Takes over rows of another store as they are.</summary>
internal sealed class MongoImport(MongoSession session, Chunks chunks, MongoCommits commits, MongoVersions versions, MongoNumbering numbering) : IImportTable
{
    /// <inheritdoc/>
    public async ValueTask PutPackageAsync(StoredPackage package, bool isPinned, CancellationToken cancellationToken)
    {
        var (row, document, note) = (package.Row, package.Document, Guid.NewGuid().ToString("N"));
        var owner = PackageDocument.OwnerOf(row.Name);
        var before = await commits.ReadAsync(row.Name, cancellationToken);
        var columns = MongoVersions.Read(row.Name, document, row.Index.Span);
        var (bytes, index) = (await chunks.WriteAsync(owner, row.Generation, document.Bytes, cancellationToken), await chunks.WriteAsync(owner, row.Generation, row.Index, cancellationToken));
        var sent = new List<BsonDocument> { bytes, index };
        var isArchived = before is { IsPinned: true, Document: not null } && before.Document.Text("sha256") != document.Sha256.Hex && !before.IsInArchive(before.Document.Text("sha256"));
        var archived = isArchived ? await commits.ArchiveAsync(before!.Document!, owner, row.Generation, sent, cancellationToken) : null;
        (string Name, BsonValue? Value)[] fields =
        [
            .. PackageDocument.Write(row.Facts),
            .. PackageDocument.Write(columns?.Package),
            ("generation", row.Generation),
            ("lastPosition", row.LastPosition.Value),
            ("commit", note),
            ("content", note),
            ("unsettled", true),
            ("uncounted", true),
            ("pinned", isPinned),
            ("document", PackageDocument.Write(document, bytes)),
            ("index", index),
        ];
        var unset = new BsonDocument(fields.Where(field => field.Value is null).Select(field => new BsonElement(field.Name, "")));
        var update = new BsonDocument
        {
            ["$set"] = new BsonDocument(fields.Where(field => field.Value is not null).Select(field => new BsonElement(field.Name, field.Value))),
            ["$setOnInsert"] = new BsonDocument { ["round"] = BsonValues.Number(0), ["tallied"] = BsonValues.Number(0) },
        }.With("$unset", unset.ElementCount > 0 ? unset : null).With("$push", archived is null ? null : new BsonDocument("archive", archived));

        // Made once more where the answer was lost, it would archive twice: the commit is another then.
        var filter = new BsonDocument { ["_id"] = row.Name.Value, ["commit"] = new BsonDocument("$ne", note) };
        try
        {
            await session.RunAsync(PackageDocument.Collection, (packages, token) => packages.UpdateOneAsync(filter, update, new UpdateOptions { IsUpsert = true }, token), cancellationToken);
        }
        catch (MongoException e) when (MongoFaults.IsDuplicate(e))
        {
            // It was written.
        }

        await chunks.SweepAsync(owner, row.Generation, [.. sent, .. before?.Archive.Select(entry => entry.Part("bytes")) ?? [], archived?.Part("bytes")], cancellationToken);
        await versions.WriteAsync(row.Name, row.Generation, row.Facts.IsRemoved ? null : columns, cancellationToken);
        await numbering.SettleAsync(row.Name, note);
    }

    /// <inheritdoc/>
    public async ValueTask<bool> PutArchivedAsync(PackageName name, StoredDocument document, CancellationToken cancellationToken)
    {
        var sha256 = document.Sha256.Hex;
        if (await commits.ReadAsync(name, cancellationToken) is not { } row)
        {
            return false;
        }

        if (row.IsInArchive(sha256) || (row.IsPinned && row.Document?.Text("sha256") == sha256))
        {
            return true;
        }

        var bytes = await chunks.WriteAsync(PackageDocument.OwnerOf(name), row.Generation, document.Bytes, cancellationToken, inlineMaxBytes: 0);
        var filter = new BsonDocument { ["_id"] = name.Value, ["archive.sha256"] = new BsonDocument("$ne", sha256) };
        var push = new BsonDocument("$push", new BsonDocument("archive", PackageDocument.Write(document, bytes)));
        await session.RunAsync(PackageDocument.Collection, (packages, token) => packages.UpdateOneAsync(filter, push, null, token), cancellationToken);
        return true;
    }

    /// <inheritdoc/>
    public async ValueTask<int> AppendLogAsync(IReadOnlyList<LogRow> rows, CancellationToken cancellationToken)
    {
        var filter = new BsonDocument("_id", new BsonDocument("$in", new BsonArray(rows.Select(row => row.Package.Value).Distinct())));
        var found = await session.RunAsync(PackageDocument.Collection, (packages, token) => packages.Find(filter).Project(new BsonDocument("_id", 1)).ToListAsync(token), cancellationToken);
        var there = found.Select(stored => stored.Text("_id")).ToHashSet();
        List<LogRow> known = [.. rows.TakeWhile(row => there.Contains(row.Package.Value))];
        await numbering.AppendAsync(known, cancellationToken);
        return known.Count;
    }
}
