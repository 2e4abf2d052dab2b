using System.Globalization;
using System.Text;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>Texts under a key. How far the feed was handled is, before this mirror noted it, the cursor of the tool of 2012.</summary>
internal sealed class MongoNotes(MongoSession session) : INoteTable
{
    internal const string Collection = "notes";
    private const string LastSequence = "seq:last_seq";

    /// <inheritdoc/>
    public async ValueTask<string?> FindNoteAsync(string key, CancellationToken cancellationToken)
    {
        var stored = await session.RunAsync(Collection, (notes, token) => notes.Find(new BsonDocument("_id", BsonValues.Text(key))).FirstOrDefaultAsync(token)!, cancellationToken);
        return stored?.Text("text") ?? (key == LastSequence ? await FindEarlierAsync(cancellationToken) : null);
    }

    /// <inheritdoc/>
    public async ValueTask SetNoteAsync(string key, string? text, CancellationToken cancellationToken)
    {
        var id = new BsonDocument("_id", BsonValues.Text(key));
        await session.RunAsync(
            Collection,
            async (notes, token) =>
            {
                if (text is null)
                {
                    await notes.DeleteOneAsync(id, token);
                    return true;
                }

                var note = new BsonDocument(id).Set("text", BsonValues.Text(text)).Set("size", Encoding.UTF8.GetByteCount(text));
                try
                {
                    await notes.ReplaceOneAsync(id, note, new ReplaceOptions { IsUpsert = true }, token);
                }
                catch (MongoException e) when (MongoFaults.IsDuplicate(e))
                {
                    // Two were the first: now it is there.
                    await notes.ReplaceOneAsync(id, note, (ReplaceOptions?)null, token);
                }

                return true;
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<NoteMark> ListNotesAsync(string prefix, CancellationToken cancellationToken) =>
        MongoPages.ListByPrefixAsync(session, Collection, prefix, new BsonDocument("size", 1), cancellationToken).Select(stored => new NoteMark(stored.Text("_id")!, stored.Number("size") ?? 0));

    private async ValueTask<string?> FindEarlierAsync(CancellationToken cancellationToken)
    {
        var stored = await session.RunAsync(
            session.Address.EarlierCollection,
            (modules, token) => modules.Find(new BsonDocument("_id", MongoEarlier.CursorId)).FirstOrDefaultAsync(token)!,
            cancellationToken);
        return stored?.Text("value") ?? stored?.Number("value")?.ToString(CultureInfo.InvariantCulture);
    }
}
