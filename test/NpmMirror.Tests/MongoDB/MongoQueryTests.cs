using System.Globalization;
using System.Text.RegularExpressions;
using MongoDB.Bson;
using MongoDB.Bson.Serialization;
using MongoDB.Driver;
using NpmMirror.Storage;
using NpmMirror.Tests.Storage;

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
        await QueriedPackages.FillAsync(_store, Cancelled);
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Claim("Packages and versions in MongoDB are found by name, keyword, maintainer, license, dist-tag, version, dependency and date, as the page of examples says",
        Red = "`PackageDocument.Write` writes no columns: six examples were red; `MongoVersions` writes no dependencies: three")]
    [Theory]
    [MemberData(nameof(Examples))]
    public async Task Finds_the_results_that_the_page_gives(string query, string names)
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

    [GeneratedRegex(@"^db\.(?<collection>\w+)\.(?<call>find|aggregate)\((?<arguments>.*?)\)(\.sort\((?<sort>[^)]*)\))?(\.limit\((?<limit>\d+)\))?$")]
    private static partial Regex Query();
}
