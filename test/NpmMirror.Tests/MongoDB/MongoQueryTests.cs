using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using MongoDB.Bson;
using MongoDB.Bson.Serialization;
using MongoDB.Driver;
using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Tests.MongoDB;

/// <summary>The examples of docs/mongodb.md, each run as it stands there.</summary>
public sealed partial class MongoQueryTests(SharedMongo shared) : IAsyncLifetime
{
    private static readonly string Page = Path.Combine(TestTools.Root, "docs/mongodb.md");
    private IMetadataStore _store = null!;
    private IMongoDatabase _database = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Examples =>
    [
        .. File.ReadLines(Page).Where(line => line.StartsWith("db.", StringComparison.Ordinal)).Select(line => line.Split("// →", 2)).Select(parts => (parts[0].Trim(), parts[1].Trim())),
    ];

    public async ValueTask InitializeAsync()
    {
        var location = await shared.NewLocationAsync();
        _store = await MongoServer.OpenAsync(location);
        _database = MongoServer.Connect(location);
        await CommitAsync("express", """
            {"name":"express","description":"web framework","keywords":["web","http"],"maintainers":[{"name":"ann"}],"license":"MIT","dist-tags":{"latest":"4.18.2","next":"5.0.0"},
            "versions":{"4.18.2":{"dependencies":{"accepts":"~1.3.8","ms":"2.0.0"}},"5.0.0":{"dependencies":{"ms":"2.1.3"}}},"time":{"4.18.2":"2022-10-08T20:11:42.000Z","5.0.0":"2024-09-10T04:40:34.000Z"}}
            """);
        await CommitAsync("ms", """
            {"name":"ms","keywords":["time"],"maintainers":[{"name":"ann"},{"name":"bob"}],"license":"MIT","dist-tags":{"latest":"2.1.3"},
            "versions":{"2.1.2":{},"2.1.3":{}},"time":{"2.1.2":"2019-06-06T17:31:55.000Z","2.1.3":"2020-12-08T13:54:35.000Z"}}
            """);
        await CommitAsync("left-pad", """{"name":"left-pad","description":"String left pad","license":"WTFPL","dist-tags":{"latest":"1.3.0"},"versions":{"1.3.0":{"deprecated":"use String.prototype.padStart()"}},"time":{"1.3.0":"2018-04-09T00:00:00.000Z"}}""");
        await CommitAsync("@types/ms", """{"name":"@types/ms","keywords":"types, time","license":"MIT","dist-tags":{"latest":"0.7.34"},"versions":{"0.7.34":{}},"time":{"0.7.34":"2023-11-07T00:00:00.000Z"}}""");
        await CommitAsync("gone", """{"name":"gone","maintainers":["ann"],"versions":{"1.0.0":{}}}""");
        await _store.Packages.CommitAsync(NewCommit("gone", 1, null) with { Facts = Facts() with { Removal = RemovalKind.Unpublished } }, Cancelled);
        while (await _store.Log.NumberEventsAsync(Cancelled) > 0)
        {
            // More may wait.
        }
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Claim("Packages and versions in MongoDB are found by name, keyword, maintainer, license, dist-tag, version, dependency and date, as the page of examples says",
        Red = "`PackageDocument.Write` writes no columns: six examples were red; `MongoVersions` writes no dependencies: three")]
    [Theory]
    [MemberData(nameof(Examples))]
    public async Task Finds_what_the_page_says(string query, string names)
    {
        var match = Query().Match(query);
        Assert.True(match.Success, query);
        var collection = _database.GetCollection<BsonDocument>(match.Groups["collection"].Value);
        var arguments = BsonSerializer.Deserialize<BsonArray>($"[{match.Groups["arguments"].Value}]");
        List<BsonDocument> found;
        if (match.Groups["call"].Value == "aggregate")
        {
            found = await (await collection.AggregateAsync<BsonDocument>(arguments[0].AsBsonArray.Select(stage => stage.AsBsonDocument).ToArray(), null, Cancelled)).ToListAsync(Cancelled);
        }
        else
        {
            var find = collection.Find(arguments[0].AsBsonDocument);
            find = arguments.Count > 1 ? find.Project(arguments[1].AsBsonDocument) : find;
            find = match.Groups["sort"].Success ? find.Sort(BsonDocument.Parse(match.Groups["sort"].Value)) : find;
            found = await find.Limit(match.Groups["limit"].Success ? int.Parse(match.Groups["limit"].Value, CultureInfo.InvariantCulture) : 0).ToListAsync(Cancelled);
        }

        // What no sort orders comes in any order.
        var shown = found.ConvertAll(document => document["_id"] is BsonDocument id ? $"{id["package"].AsString}@{id["version"].AsString}" : document["_id"].AsString);
        if (!match.Groups["sort"].Success && match.Groups["call"].Value == "find")
        {
            shown.Sort(StringComparer.Ordinal);
        }

        Assert.Equal(names, string.Join(", ", shown));
    }

    [Fact]
    public async Task Has_an_index_for_each_question()
    {
        // The first field of each index, as any client sees them.
        var fields = new HashSet<string>();
        foreach (var collection in (string[])["packages", "versions"])
        {
            var indexes = await (await _database.GetCollection<BsonDocument>(collection).Indexes.ListAsync(Cancelled)).ToListAsync(Cancelled);
            fields.UnionWith(indexes.Select(index => $"{collection}.{index["key"].AsBsonDocument.GetElement(0).Name}"));
        }

        Assert.Superset(
            new HashSet<string>(["packages._id", "packages.keywords", "packages.maintainers", "packages.license", "packages.distTags.tag", "packages.removed", "packages.lastPosition", "versions.package", "versions.version", "versions.dependencies.name", "versions.publishedAt"]),
            fields);
    }

    private async Task CommitAsync(string name, string json) => Assert.True((await _store.Packages.CommitAsync(NewCommit(name, 0, json), Cancelled)).IsCommitted);

    private static PackageFacts Facts() => new() { FirstSeenAt = DateTimeOffset.UnixEpoch, StoredAt = DateTimeOffset.UnixEpoch };

    private static PackageCommit NewCommit(string name, long expectedGeneration, string? json)
    {
        var raw = Encoding.UTF8.GetBytes(json ?? "");
        return new PackageCommit
        {
            Name = PackageName.Parse(name),
            ExpectedGeneration = expectedGeneration,
            Facts = Facts(),
            Document = json is null ? null : DocumentCodecs.Encode(raw),
            Index = json is null ? default : PackumentReader.Read(raw, PackageName.Parse(name)).Index.ToBytes(),
            Events = [new PendingEvent { Ordinal = 0, Type = EventTypes.MetadataChanged, SeenAt = DateTimeOffset.UnixEpoch, Payload = "{}"u8.ToArray() }],
        };
    }

    [GeneratedRegex(@"^db\.(?<collection>\w+)\.(?<call>find|aggregate)\((?<arguments>.*?)\)(\.sort\((?<sort>[^)]*)\))?(\.limit\((?<limit>\d+)\))?$")]
    private static partial Regex Query();
}
