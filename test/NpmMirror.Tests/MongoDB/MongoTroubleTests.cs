using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using MongoDB.Bson;
using NpmMirror.MongoDB;
using NpmMirror.Storage;
using NpmMirror.Tests.Sqlite;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.MongoDB;

/// <summary>Servers that are away, let nobody in, or not far enough; databases that are newer or another's. All against the look-alike: they need its knobs.</summary>
[Trait("Duration", "long")]
public sealed class MongoTroubleTests : IAsyncLifetime
{
    private const string Reader = "reader";
    private readonly string _database = MongoServer.NewDatabase();
    private MongoServer _server = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private string Location => _server.Location(_database);

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(MongoServer.IsInstalled, TestTools.Missing("bson"));
        _server = await MongoServer.StartNewAsync($"--user={MongoServer.User}:{MongoServer.Password}", $"--read-only={Reader}:{MongoServer.Password}");
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Claim("MongoDB that is away, asks for a password, refuses it or the user's rights is told in one sentence without the password",
        With = [nameof(Says_which_password_is_wanted), nameof(Says_that_the_user_lacks_rights)])]
    [Fact]
    public async Task Says_that_the_server_is_away()
    {
        var failure = await FailsToOpenAsync(_server.Location(_database, port: FreePort.Find()));
        Assert.Equal((MirrorFault.StoreUnavailable, true), (failure.Fault, failure.IsTransient));
        Assert.Contains("cannot be reached", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_which_password_is_wanted()
    {
        var failure = await FailsToOpenAsync(_server.Location(_database, password: "wr0ng/one"));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.Contains("refuses this user and password", failure.Message, StringComparison.Ordinal);
        Assert.Contains("refuses this user and password", (await FailsToOpenAsync(_server.Location(_database, user: "nobody"))).Message, StringComparison.Ordinal);
        Assert.Contains("asks for a user and a password", (await FailsToOpenAsync(_server.OpenLocation(_database))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_that_the_user_lacks_rights()
    {
        Assert.Contains("lacks rights that a mirror needs", (await FailsToOpenAsync(_server.Location(_database, user: Reader))).Message, StringComparison.Ordinal);
        await using (var owner = await MongoServer.OpenAsync(Location))
        {
            await owner.Packages.CommitAsync(SecondProcess.Commit("express"), Cancelled);
        }

        await using var store = await MongoServer.OpenAsync(_server.Location(_database, user: Reader));
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("express"), Cancelled));
        Assert.Contains("readWrite", await store.CheckWritableAsync(Cancelled), StringComparison.Ordinal);
    }

    [Claim("A MongoDB whose disk is full, or that has no primary, goes on serving, says so, and takes writes again by itself")]
    [Theory]
    [InlineData(14031, "no room on its disk")]
    [InlineData(10107, "no primary now")]
    public async Task Reads_on_where_the_server_takes_no_writes(int code, string part)
    {
        await using var store = await MongoServer.OpenAsync(Location);
        await store.Packages.CommitAsync(SecondProcess.Commit("express"), Cancelled);
        Assert.Equal(1, (await store.CountAsync(Cancelled)).Packages);
        await store.Packages.CommitAsync(SecondProcess.Commit("uncounted"), Cancelled);
        await _server.FailAsync(new BsonDocument { ["failCommands"] = new BsonArray { "insert", "update", "delete", "findAndModify" }, ["errorCode"] = code });
        Assert.Equal(1, (await store.CountAsync(Cancelled)).Packages);
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.CommitAsync(SecondProcess.Commit("ms"), Cancelled));
        Assert.Equal((MirrorFault.StoreReadOnly, true), (failure.Fault, failure.IsTransient));
        Assert.Contains(part, failure.Message, StringComparison.Ordinal);
        Assert.Contains(part, await store.CheckWritableAsync(Cancelled), StringComparison.Ordinal);
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("express"), Cancelled));
        await _server.MendAsync();
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("ms"), Cancelled)).IsCommitted);
        Assert.Equal(3, (await store.CountAsync(Cancelled)).Packages);
    }

    [Fact]
    public async Task Counts_a_write_once_whose_answer_was_lost()
    {
        await using var store = await MongoServer.OpenAsync(Location);
        foreach (var command in (string[])["insert", "update", "delete", "find"])
        {
            await _server.FailAsync(new BsonDocument { ["failCommands"] = new BsonArray { command }, ["closeConnection"] = true, ["afterwards"] = true }, times: 1);
            Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit($"of-{command}"), Cancelled)).IsCommitted);
            await store.Leases.TryHoldLeaseAsync(command, "me", TimeSpan.FromMinutes(1), Cancelled);
        }

        await NumberAsync(store);
        Assert.Equal(4, (await WholeStore.AssertAsync(store)).Count);
    }

    [Fact]
    public async Task Writes_to_a_member_of_a_replica_set()
    {
        await using var set = await MongoServer.StartNewAsync("--set=rs0");
        await using var store = await MongoServer.OpenAsync(set.OpenLocation(_database) + "?replicaSet=rs0");
        await set.FailAsync(new BsonDocument { ["failCommands"] = new BsonArray { "insert", "update" }, ["closeConnection"] = true, ["afterwards"] = true }, times: 3);
        for (var i = 0; i < 5; i++)
        {
            Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit($"p{i}"), Cancelled)).IsCommitted);
        }

        await NumberAsync(store);
        Assert.Equal(5, (await WholeStore.AssertAsync(store)).Count);
        Assert.Equal(MirrorFault.StoreUnavailable, (await FailsToOpenAsync(set.OpenLocation(_database) + "?replicaSet=other")).Fault);
    }

    [Fact]
    public async Task Refuses_a_store_that_a_newer_program_wrote()
    {
        await MongoServer.Connect(Location).GetCollection<BsonDocument>("state").InsertOneAsync(new BsonDocument { ["_id"] = "schema", ["version"] = 3 }, cancellationToken: Cancelled);
        var failure = await FailsToOpenAsync(Location);
        Assert.Equal(MirrorFault.StoreSchema, failure.Fault);
        Assert.Contains("newer npm-mirror", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Takes_over_a_store_that_an_older_program_wrote()
    {
        var state = MongoServer.Connect(Location).GetCollection<BsonDocument>("state");
        await state.InsertOneAsync(new BsonDocument { ["_id"] = "schema", ["version"] = 1 }, cancellationToken: Cancelled);
        await using (await MongoServer.OpenAsync(Location))
        {
            Assert.Equal(1, await state.CountDocumentsAsync(new BsonDocument { ["_id"] = "schema", ["version"] = 2 }, cancellationToken: Cancelled));
        }
    }

    [Claim("MongoDB that was stopped and started again is found again, with all that was acknowledged",
        With = [nameof(Finds_the_server_again)])]
    [Fact]
    public async Task Keeps_acknowledged_writes_when_the_server_is_killed()
    {
        await using var store = await MongoServer.OpenAsync(Location);
        var acknowledged = new List<string>();
        var writing = WriteAsync();
        await Eventually.Async(() => Count() >= 50);
        await _server.KillAsync();
        await Assert.ThrowsAsync<MirrorException>(() => writing);
        await _server.StartAsync();
        await using var again = await MongoServer.OpenAsync(Location);
        await NumberAsync(again);
        Assert.Subset(await WholeStore.AssertAsync(again), acknowledged.ToHashSet());

        async Task WriteAsync()
        {
            for (var i = 0; ; i++)
            {
                await store.Packages.CommitAsync(SecondProcess.Commit($"p{i}"), Cancelled);
                lock (acknowledged)
                {
                    acknowledged.Add($"p{i}");
                }
            }
        }

        int Count()
        {
            lock (acknowledged)
            {
                return acknowledged.Count;
            }
        }
    }

    [Fact]
    public async Task Finds_the_server_again()
    {
        await using var store = await MongoServer.OpenAsync(Location);
        await store.Packages.CommitAsync(SecondProcess.Commit("a"), Cancelled);
        await _server.KillAsync();
        var failure = await Assert.ThrowsAsync<MirrorException>(async () => await store.Packages.FindAsync(PackageName.Parse("a"), Cancelled));
        Assert.Equal((MirrorFault.StoreUnavailable, true), (failure.Fault, failure.IsTransient));
        await _server.StartAsync();
        await Eventually.Async(async () => await store.CheckWritableAsync(Cancelled) is null);
        Assert.True((await store.Packages.CommitAsync(SecondProcess.Commit("b"), Cancelled)).IsCommitted);
        Assert.NotNull(await store.Packages.ReadAsync(PackageName.Parse("a"), Cancelled));
    }

    [Theory]
    [InlineData("mongodb://u:secret@", "no URL")]
    [InlineData("mongodb://u:secret@h/d?colection=x", "colection")]
    [InlineData("mongodb://u:secret@h/d?readPreference=secondary", "readPreference")]
    [InlineData("mongodb://u:sec?ret@h/d", "an @ after its question mark")]
    [InlineData("mongodb://u:secret@h:99999/d", "no URL")]
    [InlineData("mongodb://u:secret@h/d?collection=$x", "a collection's name")]
    public void Says_the_fault_of_a_location(string location, string part)
    {
        var failure = Assert.Throws<MirrorException>(() => MongoServer.Create(location));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
        Assert.Contains(part, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", failure.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("mongodb://u:secret@a,b:27018,[::1]:27019/npm?replicaSet=rs0&w=1", "mongodb://a:27017,b:27018,[::1]:27019/npm")]
    [InlineData("mongodb+srv://u:secret@cluster.example.org/npm?authSource=admin", "mongodb+srv://cluster.example.org/npm")]
    [InlineData("mongodb://h", "mongodb://h:27017/npm-mirror")]
    public void Tells_its_place_without_user_and_password(string location, string told) => Assert.Equal(told, MongoServer.Create(location).Location);

    [Fact]
    public async Task Takes_single_options_for_the_parts_of_a_location()
    {
        var options = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase)
        {
            ["Host"] = "127.0.0.1",
            ["port"] = _server.Port.ToString(CultureInfo.InvariantCulture),
            ["db"] = _database,
            ["user"] = MongoServer.User,
            ["password"] = MongoServer.Password,
        };
        await using var store = new MongoEngine().Create(new StoreSettings { Options = options, DataFolder = "/nowhere", TimeProvider = TimeProvider.System, LoggerFactory = NullLoggerFactory.Instance });
        await store.OpenAsync(Cancelled);
        Assert.Null(await store.CheckWritableAsync(Cancelled));
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"mongodb://127.0.0.1:{_server.Port}/{_database}"), store.Location);
    }

    private static async Task<MirrorException> FailsToOpenAsync(string location)
    {
        await using var store = MongoServer.Create(location);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => store.OpenAsync(Cancelled));
        foreach (var secret in (string[])[MongoServer.Password, Uri.EscapeDataString(MongoServer.Password), "wr0ng"])
        {
            Assert.DoesNotContain(secret, $"{failure} {store.Location}", StringComparison.Ordinal);
        }

        return failure;
    }

    private static async Task NumberAsync(IMetadataStore store)
    {
        while (await store.Log.NumberEventsAsync(Cancelled) > 0)
        {
            // More may wait.
        }
    }
}
