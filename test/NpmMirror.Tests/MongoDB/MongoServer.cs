using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using MongoDB.Bson;
using MongoDB.Driver;
using NpmMirror.MongoDB;
using NpmMirror.Storage;
using NpmMirror.Tests.MongoDB;

[assembly: AssemblyFixture(typeof(SharedMongo))]

namespace NpmMirror.Tests.MongoDB;

/// <summary>
/// The server that most tests share, each with a database of its own: the look-alike of <c>test/tools/mongo-server.mjs</c>, started by the first that asks for it, or
/// the real one that <c>NPM_MIRROR_TEST_MONGODB</c> names (a URL without a database, of a user who may make databases).
/// </summary>
public sealed class SharedMongo : IAsyncDisposable
{
    private static readonly string? Real = Environment.GetEnvironmentVariable("NPM_MIRROR_TEST_MONGODB") is { Length: > 0 } url ? url : null;
    private readonly Lazy<Task<MongoServer>> _server = new(() => Task.Run(() => MongoServer.StartNewAsync($"--user={MongoServer.User}:{MongoServer.Password}")));
    private readonly List<string> _databases = [];

    /// <summary>The location of a database that no other test has.</summary>
    internal async Task<string> NewLocationAsync()
    {
        var database = MongoServer.NewDatabase();
        if (Real is null)
        {
            return (await GetFakeAsync()).Location(database);
        }

        lock (_databases)
        {
            _databases.Add(database);
        }

        var query = Real.IndexOf('?', StringComparison.Ordinal);
        return $"{(query < 0 ? Real : Real[..query]).TrimEnd('/')}/{database}{(query < 0 ? "" : Real[query..])}";
    }

    internal Task<MongoServer> GetFakeAsync()
    {
        Assert.SkipUnless(MongoServer.IsInstalled, TestTools.Missing("bson"));
        return _server.Value;
    }

    public async ValueTask DisposeAsync()
    {
        if (_server.IsValueCreated)
        {
            await (await _server.Value).DisposeAsync();
        }

        if (_databases.Count > 0)
        {
            using var client = new MongoClient(Real);
            foreach (var database in _databases)
            {
                await client.DropDatabaseAsync(database);
            }
        }
    }
}

/// <summary>A look-alike of MongoDB on loopback: a peer with knobs, in a process of its own.</summary>
internal sealed class MongoServer : IAsyncDisposable
{
    internal const string User = "npm";
    internal const string Password = "p/w @1";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static int _databases;
    private readonly TempFolder _folder = new();
    private readonly StringBuilder _output = new();
    private readonly IReadOnlyList<string> _options;
    private Process? _process;

    private MongoServer(IReadOnlyList<string> options) => _options = options;

    internal static bool IsInstalled => TestTools.Has("bson") && TestTools.Has("mingo");

    /// <summary>Where it listens; the same after a stop and a start.</summary>
    internal int Port { get; } = FreePort.Find();

    private bool HasUsers => _options.Any(option => option.StartsWith("--user=", StringComparison.Ordinal));

    internal static string NewDatabase() => string.Create(CultureInfo.InvariantCulture, $"npm-mirror-test-{Environment.ProcessId}-{Interlocked.Increment(ref _databases)}");

    internal static async Task<MongoServer> StartNewAsync(params string[] options)
    {
        var server = new MongoServer(options);
        await server.StartAsync();
        return server;
    }

    /// <summary>The location of a database, as users write it.</summary>
    internal string Location(string database, string user = User, string password = Password, int? port = null) =>
        string.Create(CultureInfo.InvariantCulture, $"mongodb://{Uri.EscapeDataString(user)}:{Uri.EscapeDataString(password)}@127.0.0.1:{port ?? Port}/{database}?authSource=admin");

    /// <summary>The same without user and password.</summary>
    internal string OpenLocation(string database, int? port = null) => string.Create(CultureInfo.InvariantCulture, $"mongodb://127.0.0.1:{port ?? Port}/{database}");

    /// <summary>A store anywhere, not opened.</summary>
    internal static IMetadataStore Create(string location, TimeProvider? time = null) => new MongoEngine().Create(
        new StoreSettings { Address = location, DataFolder = "/nowhere", TimeProvider = time ?? TimeProvider.System, LoggerFactory = NullLoggerFactory.Instance });

    /// <summary>An open store there.</summary>
    internal static async Task<IMetadataStore> OpenAsync(string location)
    {
        var store = Create(location);
        await store.OpenAsync(TestContext.Current.CancellationToken);
        return store;
    }

    /// <summary>The database as other programs see it.</summary>
    internal static IMongoDatabase Connect(string location)
    {
        var url = new MongoUrl(location);
        return new MongoClient(url).GetDatabase(url.DatabaseName);
    }

    /// <summary>Lets commands fail: see <c>configureFailPoint</c> of MongoDB's own tests.</summary>
    internal async Task FailAsync(BsonDocument data, int times = int.MaxValue) => await Connect(HasUsers ? Location("admin") : OpenLocation("admin")).RunCommandAsync<BsonDocument>(
        new BsonDocument { ["configureFailPoint"] = "failCommand", ["mode"] = new BsonDocument("times", times), ["data"] = data });

    /// <summary>Lets them succeed again.</summary>
    internal async Task MendAsync() => await Connect(HasUsers ? Location("admin") : OpenLocation("admin")).RunCommandAsync<BsonDocument>(new BsonDocument { ["configureFailPoint"] = "failCommand", ["mode"] = "off" });

    internal async Task StartAsync()
    {
        _process = TestProcess.Start(
            [.. TestTools.Command("node"), Path.Combine(TestTools.Root, "test/tools/mongo-server.mjs"), string.Create(CultureInfo.InvariantCulture, $"--port={Port}"), $"--data={_folder.Path}", .. _options],
            _folder.Path,
            new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH") ?? "" });
        _ = TestProcess.GatherAsync(_process.StandardError, _output, CancellationToken.None);
        using var limit = new CancellationTokenSource(Patience);
        var line = await _process.StandardOutput.ReadLineAsync(limit.Token);
        Assert.True(line?.StartsWith("Listening", StringComparison.Ordinal) is true, $"The server does not start:\n{_output}");
        _ = TestProcess.GatherAsync(_process.StandardOutput, _output, CancellationToken.None);
    }

    /// <summary>Ends it at once, as a power cut of its machine's processes would.</summary>
    internal async Task KillAsync()
    {
        if (_process is { } process)
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
            _process = null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _folder.Dispose();
    }
}
