using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>Documents of the upstream beside the packuments.</summary>
internal sealed class MongoKept(MongoSession session, Chunks chunks) : IKeptTable
{
    internal const string Collection = "kept";
    private const int TriesMax = 100;

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>?> FindKeptAsync(string path, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            var stored = await ReadAsync(path, cancellationToken);
            if (stored is null || stored.Flag("gone"))
            {
                return null;
            }

            if (await chunks.ReadAsync(stored.Part("bytes"), cancellationToken) is { } bytes)
            {
                return bytes;
            }

            // Another writer may have put another in its place.
            if (tries == TriesMax || (await ReadAsync(path, cancellationToken))?.Number("generation") == stored.Number("generation"))
            {
                throw new StoreDamage(Collection, path, "bytes", "nothing").ToException();
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask KeepAsync(string path, ReadOnlyMemory<byte>? document, CancellationToken cancellationToken)
    {
        // A removed one keeps its generation: pieces of late writers are known by it.
        for (var tries = 0; tries < TriesMax; tries++)
        {
            var before = await ReadAsync(path, cancellationToken);
            if (document is null && (before is null || before.Flag("gone")))
            {
                return;
            }

            var generation = (before?.Number("generation") ?? 0) + 1;
            var owner = $"kept/{path}";
            var bytes = document is { } given ? await chunks.WriteAsync(owner, generation, given, cancellationToken) : null;
            var after = new BsonDocument { ["_id"] = BsonValues.Text(path), ["generation"] = generation }.With("bytes", bytes).With("gone", bytes is null ? true : null);
            if (await WriteAsync(before, after, cancellationToken))
            {
                await chunks.SweepAsync(owner, generation, [bytes], cancellationToken);
                return;
            }

            await chunks.DropAsync([bytes], cancellationToken);
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"{path} at {session.Location} is written by others all the time; try again.", isTransient: true);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<KeptMark> ListKeptAsync(string prefix, CancellationToken cancellationToken) =>
        MongoPages.ListByPrefixAsync(session, Collection, prefix, new BsonDocument { ["bytes.size"] = 1, ["gone"] = 1 }, cancellationToken)
            .Where(stored => !stored.Flag("gone"))
            .Select(stored => new KeptMark(stored.Text("_id")!, stored.Part("bytes")?.Number("size") ?? 0));

    private ValueTask<BsonDocument?> ReadAsync(string path, CancellationToken cancellationToken) =>
        session.RunAsync(Collection, (kept, token) => kept.Find(new BsonDocument("_id", BsonValues.Text(path))).FirstOrDefaultAsync(token)!, cancellationToken)!;

    // A try whose answer was lost finds itself overtaken, and writes the same once more.
    private async ValueTask<bool> WriteAsync(BsonDocument? before, BsonDocument after, CancellationToken cancellationToken)
    {
        try
        {
            return await session.RunAsync(
                Collection,
                async (kept, token) =>
                {
                    if (before is null)
                    {
                        await kept.InsertOneAsync(after, null, token);
                        return true;
                    }

                    var result = await kept.ReplaceOneAsync(new BsonDocument { ["_id"] = after["_id"], ["generation"] = before.GetValue("generation", BsonNull.Value) }, after, (ReplaceOptions?)null, token);
                    return result.MatchedCount == 1;
                },
                cancellationToken);
        }
        catch (MongoException e) when (MongoFaults.IsDuplicate(e))
        {
            return false;
        }
    }
}
