using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>A document taken apart.</summary>
/// <param name="Package">The columns of the package.</param>
/// <param name="Index">Its index.</param>
/// <param name="Raw">Its raw bytes: versions are read one by one.</param>
internal sealed record ReadColumns(PackumentColumns Package, PackumentIndex Index, ReadOnlyMemory<byte> Raw);

/// <summary>
/// The collection <c>versions</c>: one document a version, for people's queries. It follows the package's row, and only versions that changed are written. A document
/// tells the generation that it was written for, so that no late writer puts an older one in its place.
/// </summary>
internal sealed class MongoVersions(MongoSession session)
{
    internal const string Collection = "versions";
    private const int WritesMax = 500;

    /// <summary>Takes a stored document apart; null where it is no packument.</summary>
    internal static ReadColumns? Read(PackageName name, StoredDocument document, ReadOnlySpan<byte> index)
    {
        if (document.Codec == DocumentCodec.Purged)
        {
            return null;
        }

        try
        {
            var raw = document.As(DocumentCodec.Identity, name).Bytes;
            return PackumentColumns.TryRead(name, index, raw.Span, out var read) is { } columns ? new ReadColumns(columns, read!, raw) : null;
        }
        catch (MirrorException e) when (e.Fault is MirrorFault.StoreDamaged or MirrorFault.StoreUnavailable)
        {
            return null;
        }
    }

    /// <summary>Brings the versions of a package up to its document; without one it has none.</summary>
    internal async ValueTask WriteAsync(PackageName name, long generation, ReadColumns? columns, CancellationToken cancellationToken)
    {
        var held = await ReadHeldAsync(name, cancellationToken);
        var writes = new List<WriteModel<BsonDocument>>();
        foreach (var entry in columns?.Index.Versions ?? [])
        {
            var isSame = held.Remove(entry.Version, out var before) && before == (unchecked((long)entry.Hash), entry.PublishedAt.Truncated());
            if (!isSame && TryWrite(name, generation, entry, columns!.Raw.Span) is { } document)
            {
                writes.Add(new ReplaceOneModel<BsonDocument>(new BsonDocument { ["_id"] = document["_id"], ["generation"] = new BsonDocument("$lt", generation) }, document) { IsUpsert = true });
            }

            if (writes.Count == WritesMax)
            {
                await WriteAsync(writes, cancellationToken);
            }
        }

        foreach (var gone in held.Keys.Chunk(WritesMax))
        {
            writes.AddRange(gone.Select(version => new DeleteOneModel<BsonDocument>(new BsonDocument { ["_id"] = IdOf(name, version), ["generation"] = new BsonDocument("$lt", generation) })));
            await WriteAsync(writes, cancellationToken);
        }

        await WriteAsync(writes, cancellationToken);
    }

    private async ValueTask WriteAsync(List<WriteModel<BsonDocument>> writes, CancellationToken cancellationToken)
    {
        if (writes.Count == 0)
        {
            return;
        }

        try
        {
            await session.RunAsync(Collection, (versions, token) => versions.BulkWriteAsync(writes, new BulkWriteOptions { IsOrdered = false }, token), cancellationToken);
        }
        catch (MongoException e) when (MongoFaults.IsDuplicate(e))
        {
            // A later commit was faster with these.
        }

        writes.Clear();
    }

    private async ValueTask<Dictionary<string, (long Mark, DateTimeOffset? PublishedAt)>> ReadHeldAsync(PackageName name, CancellationToken cancellationToken)
    {
        var held = await session.RunAsync(
            Collection,
            (versions, token) => versions.Find(new BsonDocument("package", name.Value)).Project(new BsonDocument { ["version"] = 1, ["mark"] = 1, ["publishedAt"] = 1 }).ToListAsync(token),
            cancellationToken);
        return held.Where(one => one.Text("version") is not null).DistinctBy(one => one.Text("version")).ToDictionary(one => one.Text("version")!, one => (one.Number("mark") ?? 0, one.Moment("publishedAt")), StringComparer.Ordinal);
    }

    private static BsonDocument? TryWrite(PackageName name, long generation, VersionEntry entry, ReadOnlySpan<byte> raw)
    {
        try
        {
            return Write(name, generation, entry.Hash, VersionColumns.Read(entry, raw));
        }
        catch (MirrorException e) when (e.Fault == MirrorFault.StoreDamaged)
        {
            return null;
        }
    }

    private static BsonDocument Write(PackageName name, long generation, ulong mark, VersionColumns version) => new BsonDocument
    {
        ["_id"] = IdOf(name, version.Version),
        ["package"] = name.Value,
        ["version"] = BsonValues.Text(version.Version),
        ["dependencies"] = new BsonArray(version.Dependencies.Select(dependency => new BsonDocument { ["name"] = BsonValues.Text(dependency.Name), ["range"] = BsonValues.Text(dependency.Range) })),
        ["generation"] = generation,
        ["mark"] = unchecked((long)mark),
    }.With("publishedAt", BsonValues.Bson(version.PublishedAt)).With("license", BsonValues.Bson(version.License)).With("deprecated", BsonValues.Bson(version.Deprecated));

    private static BsonDocument IdOf(PackageName name, string version) => new() { ["package"] = name.Value, ["version"] = BsonValues.Text(version) };
}
