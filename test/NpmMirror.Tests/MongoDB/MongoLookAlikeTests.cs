using MongoDB.Bson;
using MongoDB.Driver;

namespace NpmMirror.Tests.MongoDB;

/// <summary>The look-alike keeps to what a real server does, and lets nothing pass that it does not know. The first half is true of a real server too.</summary>
public sealed class MongoLookAlikeTests(SharedMongo shared) : IAsyncLifetime
{
    private IMongoDatabase _database = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private IMongoCollection<BsonDocument> Things => _database.GetCollection<BsonDocument>("things");

    public async ValueTask InitializeAsync() => _database = MongoServer.Connect(await shared.NewLocationAsync());

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Theory]
    [InlineData("{ find: 'things', filter: { a: { $near: 1 } } }")]
    [InlineData("{ find: 'things', filter: { $xor: [] } }")]
    [InlineData("{ find: 'things', filter: {}, unheard: 1 }")]
    [InlineData("{ insert: 'things', documents: [{ _id: 1 }], unheard: 1 }")]
    [InlineData("{ update: 'things', updates: [{ q: {}, u: { $set: { a: 1, 'a.b': 2 } } }] }")]
    [InlineData("{ update: 'things', updates: [{ q: {}, u: { $frobnicate: { a: 1 } } }] }")]
    [InlineData("{ update: 'things', updates: [{ q: {}, u: { a: 1 }, multi: true }] }")]
    [InlineData("{ aggregate: 'things', pipeline: [{ $frobnicate: {} }], cursor: {} }")]
    [InlineData("{ aggregate: 'things', pipeline: [{ $group: { _id: null, n: { $frobnicate: 1 } } }], cursor: {} }")]
    [InlineData("{ createIndexes: 'things', indexes: [{ key: { a: 1 }, name: 'a', unheard: 1 }] }")]
    [InlineData("{ frobnicate: 1 }")]
    public async Task Refuses_a_part_that_it_does_not_know(string command)
    {
        await Things.InsertOneAsync(new BsonDocument("_id", 7), null, Cancelled);
        Assert.True(await FailsAsync(command), command);
    }

    [Fact]
    public async Task Forbids_two_of_one_key()
    {
        await Things.Indexes.CreateOneAsync(new CreateIndexModel<BsonDocument>(new BsonDocument("a", 1), new CreateIndexOptions { Unique = true }), null, Cancelled);
        await Things.InsertOneAsync(new BsonDocument { ["_id"] = 1, ["a"] = 5 }, null, Cancelled);
        foreach (var document in (BsonDocument[])[new() { ["_id"] = 1, ["a"] = 6 }, new() { ["_id"] = 1L, ["a"] = 6 }, new() { ["_id"] = 1.0, ["a"] = 6 }, new() { ["_id"] = 2, ["a"] = 5L }])
        {
            var failure = await Assert.ThrowsAsync<MongoWriteException>(() => Things.InsertOneAsync(document, null, Cancelled));
            Assert.Equal(ServerErrorCategory.DuplicateKey, failure.WriteError.Category);
        }
    }

    [Fact]
    public async Task Orders_values_as_bson_does()
    {
        BsonValue[] ordered = [BsonNull.Value, -1, 0.5, 1, 2L, "", "A", "a", "a\0", "\uff5e", "\U0001f600", new BsonDocument("a", 1), new BsonDocument { ["a"] = 1, ["b"] = 0 }, new BsonBinaryData([2]), new BsonBinaryData([1, 1]), false, true, new BsonDateTime(5)];
        await Things.InsertManyAsync(ordered.Reverse().Select((value, i) => new BsonDocument { ["_id"] = i, ["v"] = value }), null, Cancelled);
        Assert.Equal(ordered, (await Things.Find(new BsonDocument()).Sort(new BsonDocument("v", 1)).ToListAsync(Cancelled)).Select(document => document["v"]));

        // A range compares within one class only.
        Assert.Equal(4, await Things.CountDocumentsAsync(new BsonDocument("v", new BsonDocument("$gt", -2)), null, Cancelled));
        Assert.Equal(["\uff5e", "\U0001f600"], (await Things.Find(new BsonDocument("v", new BsonDocument("$gt", "b"))).Sort(new BsonDocument("v", 1)).ToListAsync(Cancelled)).Select(document => document["v"].AsString));
    }

    [Fact]
    public async Task Keeps_types_and_finds_in_lists()
    {
        var document = BsonDocument.Parse("{ _id: 1, a: NumberInt(5), b: NumberLong(5), c: 5.0, d: [1, { e: 'x' }, { e: 'y' }], 'f.g': 1 }");
        await Things.InsertOneAsync(document, null, Cancelled);
        await Things.UpdateOneAsync(new BsonDocument("_id", 1), BsonDocument.Parse("{ $inc: { a: NumberInt(1) }, $push: { d: 2 } }"), null, Cancelled);
        var found = await Things.Find(BsonDocument.Parse("{ 'd.e': 'y', d: 1 }")).FirstAsync(Cancelled);
        Assert.Equal([BsonType.Int32, BsonType.Int64, BsonType.Double], ((string[])["a", "b", "c"]).Select(name => found[name].BsonType));
        Assert.Equal((6, 4, 1), (found["a"].AsInt32, found["d"].AsBsonArray.Count, found["f.g"].AsInt32));
        await Things.UpdateOneAsync(new BsonDocument("_id", 1), BsonDocument.Parse("{ $pull: { d: { e: { $gt: 'x' } } } }"), null, Cancelled);
        Assert.Equal(0, await Things.CountDocumentsAsync(BsonDocument.Parse("{ 'd.e': 'y' }"), null, Cancelled));
    }

    [Fact]
    public async Task Gives_long_answers_in_batches_and_forgets_no_cursor()
    {
        await Things.InsertManyAsync(Enumerable.Range(0, 1000).Select(i => new BsonDocument("_id", i)), null, Cancelled);
        Assert.Equal(1000, (await Things.Find(new BsonDocument(), new FindOptions { BatchSize = 7 }).ToListAsync(Cancelled)).Count);
        Assert.True(await FailsAsync("{ getMore: NumberLong(4711), collection: 'things' }"));
    }

    [Fact]
    public async Task Takes_no_document_over_16_megabytes()
    {
        await Things.InsertOneAsync(new BsonDocument { ["_id"] = 1, ["a"] = new BsonArray { new string('x', 15_000_000) } }, null, Cancelled);
        var failure = await Assert.ThrowsAsync<MongoWriteException>(() => Things.UpdateOneAsync(new BsonDocument("_id", 1), new BsonDocument("$push", new BsonDocument("a", new string('x', 3_000_000))), null, Cancelled));
        Assert.Equal(17419, failure.WriteError.Code);
    }

    [Fact]
    public async Task Refuses_transactions_as_a_standalone_does()
    {
        var server = await shared.GetFakeAsync();
        using var client = new MongoClient(server.Location("things"));
        using var session = await client.StartSessionAsync(null, Cancelled);
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            session.StartTransaction();
            await client.GetDatabase("things").GetCollection<BsonDocument>("things").InsertOneAsync(session, new BsonDocument(), null, Cancelled);
        });
    }

    // A write that fails is told in its own place.
    private async Task<bool> FailsAsync(string command)
    {
        try
        {
            var reply = await _database.RunCommandAsync<BsonDocument>(BsonDocument.Parse(command), null, Cancelled);
            return reply.Contains("writeErrors");
        }
        catch (MongoCommandException)
        {
            return true;
        }
    }
}
