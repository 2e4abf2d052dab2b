using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text.Json;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>The collection of the tool of 2012: a packument a document, its <c>_id</c> the name, and <c>deleted</c>. It is read and never written.</summary>
internal sealed class MongoEarlier(MongoSession session) : IEarlierDocuments
{
    /// <summary>The document that is no packument but the cursor.</summary>
    internal const string CursorId = "sequence:last_seq";

    private const string Deleted = "deleted";
    private const string TakenOver = "taken-over";
    private const int PageMax = 16;
    private const int DepthMax = 200;

    /// <inheritdoc/>
    public async IAsyncEnumerable<EarlierDocument> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (await FindAsync(MongoSchema.State, TakenOver, cancellationToken) is not null)
        {
            yield break;
        }

        await foreach (var stored in MongoPages.ListAsync(session, session.Address.EarlierCollection, null, null, cancellationToken, pageMax: PageMax))
        {
            if (stored.Text("_id") is { } id && id != CursorId && PackageName.TryParse(id, out var name) && await FindAsync(PackageDocument.Collection, id, cancellationToken) is null)
            {
                yield return new EarlierDocument(name, ToJson(name, stored), stored.Flag(Deleted));
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask CompleteAsync(CancellationToken cancellationToken)
    {
        var id = new BsonDocument("_id", TakenOver);
        await session.RunAsync(MongoSchema.State, (state, token) => state.ReplaceOneAsync(id, id, new ReplaceOptions { IsUpsert = true }, token), cancellationToken);
    }

    private ValueTask<BsonDocument?> FindAsync(string collection, string id, CancellationToken cancellationToken) => session.RunAsync(
        collection,
        (documents, token) => documents.Find(new BsonDocument("_id", id)).Project(new BsonDocument("_id", 1)).FirstOrDefaultAsync(token)!,
        cancellationToken)!;

    // That tool put its own member into the packument, and of a deleted package kept the name only.
    private static byte[] ToJson(PackageName name, BsonDocument stored)
    {
        var output = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { SkipValidation = true, MaxDepth = DepthMax + 1 }))
        {
            var packument = new BsonDocument(stored.Where(member => member.Name != Deleted));
            if (!packument.Contains("name"))
            {
                packument["name"] = name.Value;
            }

            Write(json, packument, 0);
        }

        return output.WrittenSpan.ToArray();
    }

    private static void Write(Utf8JsonWriter json, BsonValue value, int depth)
    {
        if (depth > DepthMax)
        {
            json.WriteNullValue();
            return;
        }

        switch (value)
        {
            case BsonDocument document:
                json.WriteStartObject();
                foreach (var member in document)
                {
                    json.WritePropertyName(member.Name);
                    Write(json, member.Value, depth + 1);
                }

                json.WriteEndObject();
                break;
            case BsonArray array:
                json.WriteStartArray();
                foreach (var item in array)
                {
                    Write(json, item, depth + 1);
                }

                json.WriteEndArray();
                break;
            case BsonString text: json.WriteStringValue(text.Value); break;
            case BsonBoolean flag: json.WriteBooleanValue(flag.Value); break;
            case BsonInt32 number: json.WriteNumberValue(number.Value); break;
            case BsonInt64 number: json.WriteNumberValue(number.Value); break;
            case BsonDouble number when double.IsFinite(number.Value): json.WriteNumberValue(number.Value); break;
            case BsonDateTime moment: json.WriteStringValue(moment.ToString()); break;
            default: json.WriteNullValue(); break;
        }
    }
}
