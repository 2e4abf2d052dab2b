using System.Runtime.CompilerServices;
using MongoDB.Bson;
using MongoDB.Driver;

namespace NpmMirror.MongoDB;

/// <summary>Long lists, page by page: no cursor is open while a caller works.</summary>
internal static class MongoPages
{
    internal const int PageMax = 512;

    /// <summary>Documents in the order of their <c>_id</c>, from a filter on it on.</summary>
    /// <param name="session">The connection.</param>
    /// <param name="collection">The collection.</param>
    /// <param name="from">The condition on the first <c>_id</c>, for example <c>{$gte: "a"}</c>; null: all.</param>
    /// <param name="fields">The projection.</param>
    /// <param name="cancellationToken">Ends the list.</param>
    /// <param name="where">A further condition.</param>
    /// <param name="pageMax">The most documents that are read at once.</param>
    internal static async IAsyncEnumerable<BsonDocument> ListAsync(
        MongoSession session,
        string collection,
        BsonDocument? from,
        BsonDocument? fields,
        [EnumeratorCancellation] CancellationToken cancellationToken,
        BsonDocument? where = null,
        int pageMax = PageMax)
    {
        while (true)
        {
            var filter = new BsonDocument(where ?? []).With("_id", from);
            var page = await session.RunAsync(
                collection,
                (documents, token) =>
                {
                    var find = documents.Find(filter).Sort(new BsonDocument("_id", 1)).Limit(pageMax);
                    return (fields is null ? find : find.Project(fields)).ToListAsync(token);
                },
                cancellationToken);
            foreach (var document in page)
            {
                yield return document;
            }

            if (page.Count < pageMax)
            {
                yield break;
            }

            from = new BsonDocument("$gt", page[^1]["_id"]).With("$lt", from?.GetValue("$lt", null));
        }
    }

    /// <summary>The condition on an <c>_id</c> of several fields that begins with these: the last of them is a text.</summary>
    internal static BsonDocument Beginning(BsonDocument fields)
    {
        // No text is between another and the same with a zero at its end.
        var (name, text) = (fields.GetElement(fields.ElementCount - 1).Name, fields[fields.ElementCount - 1].AsString);
        return new BsonDocument { ["$gte"] = fields, ["$lt"] = new BsonDocument(fields).Set(name, text + "\0") };
    }

    /// <summary>The same of texts that begin with another.</summary>
    internal static async IAsyncEnumerable<BsonDocument> ListByPrefixAsync(MongoSession session, string collection, string prefix, BsonDocument? fields, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var document in ListAsync(session, collection, new BsonDocument("$gte", BsonValues.Text(prefix)), fields, cancellationToken))
        {
            if (document.Text("_id")?.StartsWith(prefix, StringComparison.Ordinal) is not true)
            {
                yield break;
            }

            yield return document;
        }
    }
}
