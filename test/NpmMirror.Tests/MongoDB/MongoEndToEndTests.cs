using System.Text.Json;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.Testing;
using NpmMirror.Tests.Cli;

namespace NpmMirror.Tests.MongoDB;

/// <summary>The program with its store in MongoDB: a new mirror, and one that goes on with the database of the tool of 2012.</summary>
[Trait("Duration", "long")]
public sealed class MongoEndToEndTests(SharedMongo shared) : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private string _location = "";
    private IMongoDatabase _other = null!;
    private FakeRegistry _upstream = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _location = await shared.NewLocationAsync();
        _other = MongoServer.Connect(_location);
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("ms").Version("2.1.2"));
        _upstream.Publish(new FakePackage("left-pad").Version("1.0.0"));
    }

    public async ValueTask DisposeAsync()
    {
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A mirror is kept in MongoDB by the program: sync, verify, status and serve with --store.engine=mongodb://…")]
    [Fact]
    public async Task Syncs_verifies_and_serves()
    {
        var (code, output, errors) = await RunAsync("sync", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all", "--tarballs=eager");
        Assert.True(code == 0, errors);
        Assert.StartsWith("2 changed", output, StringComparison.Ordinal);

        foreach (var command in (string[])["verify", "removed", "gc"])
        {
            (code, output, errors) = await RunAsync(command, $"--upstream={_upstream.Url}");
            Assert.True(code == 0, output + errors);
        }

        (_, output, _) = await RunAsync("status", "--json");
        using var status = JsonDocument.Parse(output);
        Assert.Equal(2, status.RootElement.GetProperty("counts").GetProperty("packages").GetInt64());
        Assert.DoesNotContain("@127.0.0.1", output, StringComparison.Ordinal);

        await using var serve = Start("serve", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--listen=http://127.0.0.1:0");
        using var client = new HttpClient { BaseAddress = new Uri((await serve.WaitForOutputAsync("Serving ")).Split(' ')[1]) };
        Assert.Contains("\"2.1.2\"", await client.GetStringAsync("ms", Cancelled), StringComparison.Ordinal);
        _upstream.PublishVersion("ms", "2.1.3");
        await Eventually.Async(async () => (await client.GetStringAsync("ms", Cancelled)).Contains("\"2.1.3\"", StringComparison.Ordinal));
        await Eventually.Async(async () => await _other.GetCollection<BsonDocument>("versions").Find(new BsonDocument { ["package"] = "ms", ["version"] = "2.1.3" }).AnyAsync(Cancelled));
        await serve.SignalAsync("TERM");
        Assert.Equal(0, await serve.WaitForExitAsync(30));
        Assert.DoesNotContain(Uri.EscapeDataString(MongoServer.Password), serve.Output + serve.Errors, StringComparison.Ordinal);
    }

    [Claim("Compatibility C4: a MongoDB database of the old tool is read and followed from its cursor, its collection stays as it is")]
    [Fact]
    public async Task Goes_on_with_the_database_of_the_old_tool()
    {
        // As that tool wrote it: a removed package kept its name only.
        var modules = _other.GetCollection<BsonDocument>("modules");
        BsonDocument[] earlier =
        [
            BsonDocument.Parse("""{"_id":"ms","_rev":"1-x","name":"ms","dist-tags":{"latest":"2.1.2"},"versions":{"2.1.2":{"name":"ms","version":"2.1.2"}},"time":{},"deleted":false}"""),
            BsonDocument.Parse("""{"_id":"offline-only","name":"offline-only","dist-tags":{"latest":"0.1.0"},"versions":{"0.1.0":{"name":"offline-only","version":"0.1.0","size":1.5,"n":null}},"deleted":false}"""),
            BsonDocument.Parse("""{"_id":"gone","deleted":true}"""),
            new BsonDocument { ["_id"] = "sequence:last_seq", ["value"] = 1 },
        ];
        await modules.InsertManyAsync(earlier, null, Cancelled);

        await using var serve = Start("serve", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all", "--listen=http://127.0.0.1:0");
        var line = await serve.WaitForOutputAsync("Serving ");
        Assert.Contains("Took over 3 packuments of an earlier tool", serve.Errors, StringComparison.Ordinal);
        using var client = new HttpClient { BaseAddress = new Uri(line.Split(' ')[1]) };
        var offline = await client.GetStringAsync("offline-only", Cancelled);
        Assert.Contains("\"0.1.0\"", offline, StringComparison.Ordinal);
        Assert.Contains("1.5", offline, StringComparison.Ordinal);
        Assert.DoesNotContain("deleted", offline, StringComparison.Ordinal);

        // What has changed since its cursor comes by the feed.
        await Eventually.Async(async () => (await _other.GetCollection<BsonDocument>("notes").Find(new BsonDocument("_id", "seq:last_seq")).FirstOrDefaultAsync(Cancelled))?["text"].AsString == "2");
        Assert.True(await _other.GetCollection<BsonDocument>("packages").Find(new BsonDocument("_id", "left-pad")).AnyAsync(Cancelled));
        await serve.SignalAsync("TERM");
        Assert.Equal(0, await serve.WaitForExitAsync(30));
        Assert.Equal(earlier.OrderBy(document => document["_id"].AsString, StringComparer.Ordinal), await modules.Find(new BsonDocument()).Sort(new BsonDocument("_id", 1)).ToListAsync(Cancelled));

        var (_, output, _) = await RunAsync("status", "--json");
        using var status = JsonDocument.Parse(output);
        Assert.Equal(1, status.RootElement.GetProperty("counts").GetProperty("removed").GetInt64());
    }

    [Fact]
    public async Task Takes_a_copy_of_a_mirror_in()
    {
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["sync", "--data=source", $"--upstream={_upstream.Url}", $"--feed={_upstream.FeedUrl}", "--metadata=all"]);
        Assert.True(code == 0, errors);
        (code, var output, errors) = await CliProcess.RunAsync(_folder.Path, ["copy", "--from=source", $"--to={_location}"]);
        Assert.True(code == 0, output + errors);
        Assert.Contains("equal", output, StringComparison.Ordinal);
        Assert.Equal(2, await _other.GetCollection<BsonDocument>("versions").CountDocumentsAsync(new BsonDocument(), null, Cancelled));
    }

    [Fact]
    public async Task A_wrong_password_ends_the_start_in_one_sentence_without_it()
    {
        var server = await shared.GetFakeAsync();
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, ["status"], ("NPM_MIRROR__STORE__ENGINE", server.Location("none", password: "wr0ng")));
        Assert.Equal((2, ""), (code, output));
        Assert.Contains("refuses this user and password", Assert.Single(errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.DoesNotContain("wr0ng", errors, StringComparison.Ordinal);
    }

    private CliProcess Start(string command, params string[] options) => CliProcess.Start(_folder.Path, [command, $"--store.engine={_location}", .. options]);

    private Task<(int Code, string Output, string Errors)> RunAsync(string command, params string[] options) => CliProcess.RunAsync(_folder.Path, [command, $"--store.engine={_location}", .. options]);
}
