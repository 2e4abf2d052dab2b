using System.Globalization;
using System.Text;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Tests.MongoDB;

/// <summary>What lies in the collections: long bytes in pieces, columns and versions beside them, odd texts, and damage.</summary>
public sealed class MongoDocumentTests(SharedMongo shared) : IAsyncLifetime
{
    private static readonly PackageName Name = PackageName.Parse("left-pad");
    private IMetadataStore _store = null!;
    private IMongoDatabase _other = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var location = await shared.NewLocationAsync();
        _store = await MongoServer.OpenAsync(location);
        _other = MongoServer.Connect(location);
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Claim("A document of 60 MB is kept byte for byte in MongoDB, whose own documents end at 16 MB; pieces that nothing names go",
        With = [nameof(Leaves_no_pieces_of_a_commit_that_came_too_late)],
        Red = "`Chunks.SweepAsync` drops none: both were red")]
    [Trait("Duration", "long")]
    [Fact]
    public async Task Keeps_a_document_of_60_megabytes()
    {
        var bytes = new byte[60_000_000];
        new Random(1).NextBytes(bytes);
        var document = new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes));
        await CommitAsync(NewCommit(0, "{}") with { Document = document });
        Assert.True((await _store.Packages.ReadAsync(Name, Cancelled))!.Document.Bytes.Span.SequenceEqual(bytes));
        Assert.Equal(15, await ChunksAsync());

        await CommitAsync(NewCommit(1, "{}"));
        Assert.Equal(0, await ChunksAsync());
    }

    [Trait("Duration", "long")]
    [Fact]
    public async Task Keeps_a_package_of_40_000_versions_and_as_many_events()
    {
        const int Many = 40_000;
        var versions = string.Join(',', Enumerable.Range(0, Many).Select(i => string.Create(CultureInfo.InvariantCulture, $$"""
            "1.0.{{i}}":{"dependencies":{"a":"{{i}}"} }
            """)));
        var commit = Packument(0, $$"""{"name":"left-pad","versions":{ {{versions}} } }""") with { Events = [.. Enumerable.Range(0, Many).Select(i => Event(i, Encoding.UTF8.GetBytes($"{{\"version\":\"1.0.{i}\"}}")))] };
        await CommitAsync(commit);
        Assert.Equal(new LogPosition(Many), (await _store.Log.ReadHeadAsync(Cancelled)).Position);
        Assert.Equal(Many, await _other.GetCollection<BsonDocument>("versions").CountDocumentsAsync(new BsonDocument("package", "left-pad"), null, Cancelled));

        // Another commit writes only what is new.
        await CommitAsync(Packument(1, $$"""{"name":"left-pad","versions":{ {{versions}},"2.0.0":{} } }"""));
        Assert.Equal(1, await _other.GetCollection<BsonDocument>("versions").CountDocumentsAsync(new BsonDocument("generation", 2), null, Cancelled));
    }

    [Fact]
    public async Task Keeps_long_indexes_events_and_archived_documents_in_pieces()
    {
        var noise = new byte[200_000];
        new Random(1).NextBytes(noise);
        var commit = NewCommit(0, "{}") with { Index = noise, Events = [.. Enumerable.Range(0, 3).Select(i => Event(i, noise))] };
        await CommitAsync(commit);
        Assert.Equal(noise, (await _store.Packages.FindAsync(Name, Cancelled))!.Index.ToArray());
        Assert.All(await _store.Log.ReadLogAsync(LogPosition.Zero, Cancelled).ToListAsync(Cancelled), row => Assert.Equal(noise, row.Payload!.Value.ToArray()));

        // A row has room for many archived documents, but not for their bytes: even a short one moves.
        await CommitAsync(NewCommit(1, "second") with { ArchivesPrevious = true });
        Assert.Equal("{}", Encoding.UTF8.GetString((await _store.Packages.ReadArchivedAsync(Name, Digest.OfSha256("{}"u8), Cancelled))!.Bytes.Span));

        // One payload each of three rows, and the archived document.
        Assert.Equal(4, await ChunksAsync());
    }

    [Fact]
    public async Task Leaves_no_pieces_of_a_commit_that_came_too_late()
    {
        await CommitAsync(NewCommit(0, "{}"));
        var noise = new byte[200_000];
        var late = await _store.Packages.CommitAsync(NewCommit(0, "{}") with { Index = noise }, Cancelled);
        Assert.False(late.IsCommitted);
        Assert.Equal(0, await ChunksAsync());

        // Those of a dead writer go with the next commit.
        await _other.GetCollection<BsonDocument>("chunks").InsertOneAsync(new BsonDocument { ["_id"] = "dead/0", ["owner"] = "package/left-pad", ["generation"] = 2L, ["blob"] = "dead", ["bytes"] = new BsonBinaryData([1]) }, null, Cancelled);
        await CommitAsync(NewCommit(1, "{}"));
        Assert.Equal(0, await ChunksAsync());
    }

    [Claim("Versions in MongoDB follow their package: changed ones are written, gone ones and those of removed packages are deleted",
        Red = "`MongoSettling.EndAsync` rewrites nothing: red after the restoring")]
    [Fact]
    public async Task Has_the_versions_of_the_document()
    {
        await CommitAsync(Packument(0, """{"name":"left-pad","versions":{"1.0.0":{"dependencies":{"a":"1"}},"1.1.0":{}}}"""));
        Assert.Equal(["1.0.0", "1.1.0"], await VersionsAsync());
        await CommitAsync(Packument(1, """{"name":"left-pad","versions":{"1.1.0":{"license":"MIT"},"2.0.0":{}}}"""));
        Assert.Equal(["1.1.0", "2.0.0"], await VersionsAsync());
        Assert.Equal("MIT", (await _other.GetCollection<BsonDocument>("versions").Find(new BsonDocument("version", "1.1.0")).FirstAsync(Cancelled))["license"].AsString);

        await CommitAsync(NewCommit(2, null) with { Facts = Facts() with { Removal = RemovalKind.Gone } });
        Assert.Empty(await VersionsAsync());
        await CommitAsync(NewCommit(3, null));
        Assert.Equal(["1.1.0", "2.0.0"], await VersionsAsync());

        // A purge takes what people could query of it.
        await _store.Packages.PurgeAsync(new PackagePurge(Name, 4, [], [(await _store.Packages.FindAsync(Name, Cancelled))!.DocumentSha256]), Cancelled);
        Assert.Empty(await VersionsAsync());
    }

    [Claim("Names with dots and dollars lose nothing in MongoDB: they are values there, never names of fields")]
    [Fact]
    public async Task Keeps_names_with_dots_and_dollars()
    {
        await CommitAsync(Packument(0, """{"name":"left-pad","dist-tags":{"$a.b":"1.0.0"},"keywords":["$in",".", "a\u0000b"],"versions":{"1.0.0":{"dependencies":{"$set":"$1","a.b":"1"}},"$.":{}}}"""));
        var package = await _other.GetCollection<BsonDocument>("packages").Find(new BsonDocument("_id", "left-pad")).FirstAsync(Cancelled);
        Assert.Equal(new BsonDocument { ["tag"] = "$a.b", ["version"] = "1.0.0" }, package["distTags"][0]);
        Assert.Equal(["$in", ".", "a\0b"], package["keywords"].AsBsonArray.Select(word => word.AsString));
        var version = await _other.GetCollection<BsonDocument>("versions").Find(new BsonDocument("dependencies.name", "$set")).FirstAsync(Cancelled);
        Assert.Equal(["$set", "a.b"], version["dependencies"].AsBsonArray.Select(dependency => dependency["name"].AsString));
        Assert.Equal(["$.", "1.0.0"], await VersionsAsync());
    }

    [Fact]
    public async Task Keeps_odd_texts_and_moments()
    {
        const string Odd = "a\0b\u0001\U0001f600";
        await CommitAsync(NewCommit(0, "{}") with { Facts = Facts() with { Rev = Odd, Upstream = "half \ud83d", ETag = "", ModifiedAt = DateTimeOffset.MaxValue } });
        var facts = (await _store.Packages.FindAsync(Name, Cancelled))!.Facts;
        Assert.Equal((Odd, "half \ufffd", "", DateTimeOffset.FromUnixTimeMilliseconds(DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())), (facts.Rev, facts.Upstream, facts.ETag, facts.ModifiedAt));
        string[] keys = ["k", "k\0", "k\0a", "k\u0001", "ka", "k\uff5e", "k\U0001f600"];
        foreach (var key in keys.Reverse())
        {
            await _store.Notes.SetNoteAsync(key, Odd, Cancelled);
        }

        Assert.Equal(keys, await _store.Notes.ListNotesAsync("k", Cancelled).Select(mark => mark.Key).ToListAsync(Cancelled));
        Assert.Equal(keys[1..3], await _store.Notes.ListNotesAsync("k\0", Cancelled).Select(mark => mark.Key).ToListAsync(Cancelled));
    }

    [Fact]
    public async Task Refuses_a_note_that_is_too_long_and_harms_no_other()
    {
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await _store.Notes.SetNoteAsync("long", new string('x', 17_000_000), Cancelled));
        Assert.Equal(MirrorFault.TooLarge, failure.Fault);
        await _store.Notes.SetNoteAsync("key", "x", Cancelled);
        Assert.Equal("x", await _store.Notes.FindNoteAsync("key", Cancelled));
    }

    [Claim("What another program changed or took away in MongoDB is damage of that package, and the next fetch mends it",
        Red = "`PackageDocument.Read` looks at no field: red for each")]
    [Theory]
    [InlineData("generation", "generation")]
    [InlineData("document", "document")]
    [InlineData("index", "index")]
    [InlineData("storedAt", "storedAt")]
    [InlineData("removal", "removal")]
    [InlineData("removed", "is_removed")]
    public async Task Finds_that_another_program_changed_a_row(string field, string column)
    {
        await CommitAsync(NewCommit(0, "{}"));
        await _other.GetCollection<BsonDocument>("packages").UpdateOneAsync(new BsonDocument("_id", "left-pad"), new BsonDocument("$set", new BsonDocument(field, field == "removed" ? true : "odd")), null, Cancelled);
        var row = (await _store.Packages.FindAsync(Name, Cancelled))!;
        Assert.Equal(column, row.Damage?.Column);
        Assert.True(row.Index.IsEmpty);
        Assert.Equal(MirrorFault.StoreDamaged, (await Assert.ThrowsAsync<MirrorException>(async () => await _store.Packages.ReadAsync(Name, Cancelled))).Fault);
        if (field != "generation")
        {
            await CommitAsync(NewCommit(row.Generation, "{}"));
            Assert.NotNull(await _store.Packages.ReadAsync(Name, Cancelled));
        }
    }

    [Fact]
    public async Task Finds_that_pieces_are_gone()
    {
        var noise = new byte[200_000];
        new Random(1).NextBytes(noise);
        await CommitAsync(NewCommit(0, "{}") with { Document = new StoredDocument(DocumentCodec.Identity, noise, noise.Length, Digest.OfSha256(noise)) });
        await _other.GetCollection<BsonDocument>("chunks").DeleteManyAsync(new BsonDocument(), Cancelled);
        Assert.Equal(MirrorFault.StoreDamaged, (await Assert.ThrowsAsync<MirrorException>(async () => await _store.Packages.ReadAsync(Name, Cancelled))).Fault);
        await CommitAsync(NewCommit(1, "{}"));
        Assert.NotNull(await _store.Packages.ReadAsync(Name, Cancelled));
    }

    [Fact]
    public async Task Tells_of_names_that_are_no_packages_and_of_log_rows_that_are_gone()
    {
        await CommitAsync(NewCommit(0, "{}") with { Events = [Event(0, [1]), Event(1, [2])] });
        await _other.GetCollection<BsonDocument>("packages").InsertOneAsync(new BsonDocument { ["_id"] = "ex press", ["removed"] = false }, null, Cancelled);
        Assert.Single(await _store.Packages.ListAsync(null, false, Cancelled).ToListAsync(Cancelled));
        Assert.Equal("packages", Assert.Single(await _store.ListUnlistedAsync(Cancelled).ToListAsync(Cancelled)).Table);

        await _other.GetCollection<BsonDocument>("log").DeleteOneAsync(new BsonDocument("_id", 1), Cancelled);
        var rows = await _store.Log.ReadLogAsync(LogPosition.Zero, Cancelled).ToListAsync(Cancelled);
        Assert.Equal([true, false], rows.Select(row => row.Damage is not null));
    }

    [Fact]
    public async Task Leases_end_by_the_server_s_clock()
    {
        var minute = TimeSpan.FromMinutes(1);
        Assert.True(await _store.Leases.TryHoldLeaseAsync("lead", "one", minute, Cancelled));
        Assert.False(await _store.Leases.TryHoldLeaseAsync("lead", "two", minute, Cancelled));
        var now = TimeProvider.System.GetUtcNow();
        await _store.Queue.EnqueueAsync([new QueueItem { Name = Name, Priority = QueuePriority.Change, DueAt = now, QueuedAt = now }], null, Cancelled);
        var lease = Assert.Single(await _store.Queue.TakeAsync(1, minute, Cancelled));
        Assert.Empty(await _store.Queue.TakeAsync(1, minute, Cancelled));
        Assert.InRange((await _store.Queue.NextDueAsync(Cancelled))!.Value, now + TimeSpan.FromSeconds(50), now + TimeSpan.FromMinutes(10));

        // As when the server's clock goes on by an hour.
        var earlier = new BsonDateTime((now - TimeSpan.FromHours(1)).UtcDateTime);
        await _other.GetCollection<BsonDocument>("leases").UpdateManyAsync(new BsonDocument(), new BsonDocument("$set", new BsonDocument("until", earlier)), null, Cancelled);
        await _other.GetCollection<BsonDocument>("queue").UpdateManyAsync(new BsonDocument(), new BsonDocument("$set", new BsonDocument("leasedUntil", earlier)), null, Cancelled);
        Assert.True(await _store.Leases.TryHoldLeaseAsync("lead", "two", minute, Cancelled));
        Assert.NotEqual(lease.Token, Assert.Single(await _store.Queue.TakeAsync(1, minute, Cancelled)).Token);
    }

    private async Task CommitAsync(PackageCommit commit)
    {
        Assert.True((await _store.Packages.CommitAsync(commit, Cancelled)).IsCommitted);
        while (await _store.Log.NumberEventsAsync(Cancelled) > 0)
        {
            // More may wait.
        }
    }

    private Task<long> ChunksAsync() => _other.GetCollection<BsonDocument>("chunks").CountDocumentsAsync(new BsonDocument(), null, Cancelled);

    private async Task<List<string>> VersionsAsync() =>
        (await _other.GetCollection<BsonDocument>("versions").Find(new BsonDocument("package", "left-pad")).Sort(new BsonDocument("version", 1)).ToListAsync(Cancelled)).ConvertAll(version => version["version"].AsString);

    private static PackageFacts Facts() => new() { FirstSeenAt = DateTimeOffset.UnixEpoch, StoredAt = DateTimeOffset.UnixEpoch };

    private static PendingEvent Event(int ordinal, byte[] payload) => new() { Ordinal = ordinal, Type = EventTypes.MetadataChanged, SeenAt = DateTimeOffset.UnixEpoch, Payload = payload };

    private static PackageCommit NewCommit(long expectedGeneration, string? text)
    {
        var bytes = Encoding.UTF8.GetBytes(text ?? "");
        return new PackageCommit
        {
            Name = Name,
            ExpectedGeneration = expectedGeneration,
            Facts = Facts(),
            Document = text is null ? null : new StoredDocument(DocumentCodec.Identity, bytes, bytes.Length, Digest.OfSha256(bytes)),
            Events = [],
        };
    }

    private static PackageCommit Packument(long expectedGeneration, string json)
    {
        var raw = Encoding.UTF8.GetBytes(json);
        return NewCommit(expectedGeneration, json) with { Document = DocumentCodecs.Encode(raw), Index = PackumentReader.Read(raw, Name, hashSeed: 1).Index.ToBytes() };
    }
}
