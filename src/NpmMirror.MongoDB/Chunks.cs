using System.Globalization;
using MongoDB.Bson;
using MongoDB.Driver;

namespace NpmMirror.MongoDB;

/// <summary>
/// Bytes of any length beside a row: short ones lie in the row, long ones in pieces of their own, because no document may be longer than 16 MB. A piece tells its
/// owner and the generation that it was sent for; when the owner has that generation or a later one and does not name it, it is of a write that was never made.
/// </summary>
internal sealed class Chunks(MongoSession session)
{
    internal const string Collection = "chunks";
    private const int InlineMaxBytes = 64 * 1024;
    private const int ChunkBytes = 4 * 1024 * 1024;

    /// <summary>Sends what is too long for a row, and returns the value that the row has of it.</summary>
    internal async ValueTask<BsonDocument> WriteAsync(string owner, long generation, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken, int inlineMaxBytes = InlineMaxBytes)
    {
        var value = new BsonDocument("size", bytes.Length);
        if (bytes.Length <= inlineMaxBytes)
        {
            return value.Set("inline", new BsonBinaryData(bytes.ToArray()));
        }

        var id = Guid.NewGuid().ToString("N");
        var count = (bytes.Length + ChunkBytes - 1) / ChunkBytes;
        for (var i = 0; i < count; i++)
        {
            var piece = new BsonDocument
            {
                ["_id"] = IdOf(id, i),
                ["owner"] = BsonValues.Text(owner),
                ["generation"] = generation,
                ["blob"] = id,
                ["bytes"] = new BsonBinaryData(bytes.Slice(i * ChunkBytes, Math.Min(ChunkBytes, bytes.Length - (i * ChunkBytes))).ToArray()),
            };
            await session.RunAsync(Collection, (chunks, token) => chunks.ReplaceOneAsync(new BsonDocument("_id", piece["_id"]), piece, new ReplaceOptions { IsUpsert = true }, token), cancellationToken);
        }

        return value.Set("blob", id).Set("chunks", count);
    }

    /// <summary>The bytes of a row's value; null if they are not there.</summary>
    internal async ValueTask<byte[]?> ReadAsync(BsonDocument? value, CancellationToken cancellationToken)
    {
        if (value?.Number("size") is not (>= 0 and <= int.MaxValue and var size))
        {
            return null;
        }

        if (value.TryGetValue("inline", out var inline))
        {
            return inline is BsonBinaryData data && data.Bytes.Length == size ? data.Bytes : null;
        }

        if (value.Text("blob") is not { } id || value.Number("chunks") != (size + ChunkBytes - 1) / ChunkBytes)
        {
            return null;
        }

        var bytes = GC.AllocateUninitializedArray<byte>((int)size);
        var at = 0;
        for (var i = 0; at < bytes.Length; i++)
        {
            var piece = await session.RunAsync(Collection, (chunks, token) => chunks.Find(new BsonDocument("_id", IdOf(id, i))).FirstOrDefaultAsync(token)!, cancellationToken);
            if (piece is null || !piece.TryGetValue("bytes", out var found) || found is not BsonBinaryData data || data.Bytes.Length != Math.Min(ChunkBytes, bytes.Length - at))
            {
                return null;
            }

            data.Bytes.CopyTo(bytes.AsSpan(at));
            at += data.Bytes.Length;
        }

        return bytes;
    }

    /// <summary>Drops the owner's pieces up to a generation but those that its row names.</summary>
    internal ValueTask<DeleteResult> SweepAsync(string owner, long generation, IEnumerable<BsonDocument?> named, CancellationToken cancellationToken)
    {
        var kept = new BsonArray(named.Select(value => value?.Text("blob")).OfType<string>());
        var filter = new BsonDocument { ["owner"] = BsonValues.Text(owner), ["generation"] = new BsonDocument("$lte", generation), ["blob"] = new BsonDocument("$nin", kept) };
        return session.RunAsync(Collection, (chunks, token) => chunks.DeleteManyAsync(filter, token), cancellationToken);
    }

    /// <summary>Drops the pieces of values.</summary>
    internal async ValueTask DropAsync(IEnumerable<BsonDocument?> values, CancellationToken cancellationToken)
    {
        var ids = new BsonArray();
        foreach (var value in values)
        {
            if (value?.Text("blob") is { } id)
            {
                ids.AddRange(Enumerable.Range(0, (int)Math.Clamp(value.Number("chunks") ?? 0, 0, int.MaxValue / ChunkBytes)).Select(i => (BsonValue)IdOf(id, i)));
            }
        }

        if (ids.Count > 0)
        {
            await session.RunAsync(Collection, (chunks, token) => chunks.DeleteManyAsync(new BsonDocument("_id", new BsonDocument("$in", ids)), token), cancellationToken);
        }
    }

    private static string IdOf(string id, int number) => string.Create(CultureInfo.InvariantCulture, $"{id}/{number}");
}
