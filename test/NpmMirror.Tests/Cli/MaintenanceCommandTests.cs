using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NpmMirror.Diagnostics;
using NpmMirror.Sqlite;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary><c>verify</c>, <c>gc</c> and <c>removed</c> beside a running <c>serve</c>, in processes of their own.</summary>
[Trait("Duration", "long")]
public sealed class MaintenanceCommandTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private readonly HttpClient _client = new();
    private FakeRegistry _upstream = null!;
    private CliProcess _mirror = null!;
    private string _address = "";

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private IEnumerable<string> Blobs => Directory.EnumerateFiles(_folder.File("npm-mirror-data/blobs"), "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file).Length == 128);

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("ms").Version("1.0.0").Version("2.0.0"));
        _mirror = CliProcess.Start(_folder.Path, ["serve", $"--upstream={_upstream.Url}", "--feed=none", "--listen=http://127.0.0.1:0"]);
        _address = (await _mirror.WaitForOutputAsync("Serving ")).Split(' ')[1];
        await FetchAsync("ms/-/ms-1.0.0.tgz");
        await Eventually.Async(() => Blobs.Any());

        // The first time its row may come after the record of its client; records are written a moment later.
        await Eventually.Async(() => Count("tarballs") == 1);
        await FetchAsync("ms/-/ms-1.0.0.tgz");
        await Eventually.Async(() => Count("access WHERE count = 2") == 1 && Count("tarballs WHERE last_served_at IS NOT NULL") == 1);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _mirror.DisposeAsync();
        await _upstream.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("Verify never says \"complete\" with something missing: exit code 5, also for packages that the upstream lists (never-again 13)",
        With = [nameof(Verify_compares_with_the_upstreams_list_and_fetches_the_missing)],
        Red = "`verify` always ends with 0: both were red; a listed package that is not held is no finding: the last")]
    [Fact]
    public async Task Verify_tells_damage_by_its_exit_code_and_mends_it()
    {
        var (code, output, errors) = await RunAsync("verify");
        Assert.True(code == 0, errors);
        Assert.Contains("1 log rows, 1 documents", output, StringComparison.Ordinal);
        Assert.Contains("0 findings", output, StringComparison.Ordinal);

        (code, var changed, errors) = await RunAsync("verify", "--head", $"1:{new string('0', 64)}");
        Assert.True(code == 5, errors);
        Assert.Contains("1 findings", changed, StringComparison.Ordinal);

        File.Delete(Blobs.Single());
        (code, output, errors) = await RunAsync("verify", "--json", "--head", HeadIn(output));
        Assert.True(code == 5, errors);
        using var report = JsonDocument.Parse(output);
        var finding = Assert.Single(report.RootElement.GetProperty("findings").EnumerateArray());
        Assert.Equal(("tarball-missing", "ms/ms-1.0.0.tgz"), (finding.GetProperty("fault").GetString(), finding.GetProperty("subject").GetString()));
        Assert.Equal(1, report.RootElement.GetProperty("summary").GetProperty("found").GetInt32());

        (code, output, errors) = await RunAsync("verify", "--repair");
        Assert.True(code == 0, errors);
        Assert.Contains("mended TarballMissing ms/ms-1.0.0.tgz", output, StringComparison.Ordinal);
        Assert.Single(Blobs);
    }

    [Fact]
    public async Task Verify_compares_with_the_upstreams_list_and_fetches_the_missing()
    {
        _upstream.PublishVersion("ms", "3.0.0");
        _upstream.Publish(new FakePackage("new").Version("1.0.0"));
        string[] arguments = ["verify", "--against-upstream", $"--feed={_upstream.FeedUrl}", "--metadata=all"];
        var (code, output, errors) = await RunAsync(arguments);
        Assert.True(code == 5, errors);
        Assert.Contains("Stale ms: The upstream lists revision", output, StringComparison.Ordinal);
        Assert.Contains("NotHeld new: The upstream lists it, and it is not held.", output, StringComparison.Ordinal);

        Assert.Equal(0, (await RunAsync([.. arguments, "--repair"])).Code);
        (code, output, errors) = await RunAsync(arguments);
        Assert.True(code == 0, output + errors);

        _upstream.Knobs.DocumentCount = 1000;
        (code, output, _) = await RunAsync(arguments);
        Assert.Equal(4, code);
        Assert.Contains("The upstream's list is not believed: the upstream says it has 1000 documents and lists 2.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Gc_shows_fifty_items_and_tells_how_many_more_there_are()
    {
        for (var i = 0; i < 52; i++)
        {
            PutGarbage($"nobody's {i}");
        }

        // The held packages were fetched a moment ago.
        var (code, output, errors) = await RunAsync("gc", "--gc.maxBytes=1");
        Assert.True(code == 0, errors);
        Assert.Equal(50, output.Split('\n').Count(line => line.StartsWith("unreferenced ", StringComparison.Ordinal)));
        Assert.Contains("… and 2 more: --json lists all.", output, StringComparison.Ordinal);
        Assert.Contains("over gc.maxBytes: 0 B are of versions", output, StringComparison.Ordinal);
        Assert.DoesNotContain("over gc.maxBytes", (await RunAsync("gc")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_says_that_it_goes_on_with_a_run_that_was_cut_short()
    {
        Tamper($"INSERT OR REPLACE INTO notes (key, value) VALUES ('verify:marks', '{{\"begunAt\":\"{TimeProvider.System.GetUtcNow().AddHours(-1):yyyy-MM-ddTHH:mm:ssZ}\"}}')");
        Assert.Contains("Went on with the verification begun ", (await RunAsync("verify")).Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Went on", (await RunAsync("verify")).Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("verify", "--older-than=7", "write 30m, 12h or 7d")]
    [InlineData("verify", "--head=7", "is no head of a log")]
    [InlineData("gc", "--gc.grace=1m", "gc.grace is 1m, which is out of range")]
    public async Task Wrong_words_are_told(string command, string argument, string told)
    {
        var (code, _, errors) = await RunAsync(command, argument);
        Assert.Equal(2, code);
        Assert.Contains(told, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Gc_tells_first_and_deletes_when_told()
    {
        var garbage = PutGarbage();
        var (code, output, errors) = await RunAsync("gc");
        Assert.True(code == 0, errors);
        Assert.Contains($"unreferenced {Path.GetFileName(garbage)}", output, StringComparison.Ordinal);
        Assert.Contains("nothing was changed", output, StringComparison.Ordinal);
        Assert.True(File.Exists(garbage));

        (code, output, _) = await RunAsync("gc", "--delete", "--json");
        Assert.Equal(0, code);
        using var report = JsonDocument.Parse(output);
        Assert.Equal(8, report.RootElement.GetProperty("summary").GetProperty("freedBytes").GetInt32());
        Assert.False(File.Exists(garbage));
        Assert.Single(Blobs);
    }

    [Fact]
    public async Task Gc_recodes_beside_a_mirror_that_serves()
    {
        var served = await _client.GetStringAsync($"{_address}ms", Cancelled);
        await using (var store = new SqliteStore(_folder.File($"npm-mirror-data/{SqliteEngine.FileName}"), TimeProvider.System))
        {
            await store.OpenAsync(Cancelled);
            var package = (await store.Packages.ReadAsync(PackageName.Parse("ms"), Cancelled))!;
            await store.Packages.CommitAsync(
                new PackageCommit { Name = package.Row.Name, ExpectedGeneration = package.Row.Generation, Facts = package.Row.Facts, Document = package.Document.As(DocumentCodec.Gzip, package.Row.Name), Index = package.Row.Index, Events = [] },
                Cancelled);
        }

        var (code, output, errors) = await RunAsync("gc", "--recode");
        Assert.True(code == 0, errors);
        Assert.StartsWith("1 documents recoded: ", output, StringComparison.Ordinal);
        (code, output, _) = await RunAsync("gc", "--recode", "--json");
        Assert.Equal(0, code);
        using var report = JsonDocument.Parse(output);
        Assert.Equal(0, report.RootElement.GetProperty("summary").GetProperty("documents").GetInt64());
        Assert.Equal(served, await _client.GetStringAsync($"{_address}ms", Cancelled));

        (code, _, errors) = await RunAsync("gc", "--recode", "--delete");
        Assert.Equal(2, code);
        Assert.Contains("run gc once with each", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(CrashPoint.AfterCondemning, false)]
    [InlineData(CrashPoint.AfterForgetting, true)]
    public async Task Gc_that_dies_half_way_loses_nothing_and_the_next_one_ends_it(string place, bool isEviction)
    {
        var garbage = PutGarbage();
        Age();
        string[] arguments = isEviction ? ["gc", "--delete", "--gc.maxBytes=1"] : ["gc", "--delete"];
        Assert.NotEqual(0, (await CliProcess.RunAsync(_folder.Path, arguments, ("NPM_MIRROR_CRASH_AT", place))).Code);

        // The lease of a dead one ends by itself; here its row is taken away instead of waiting for it.
        Tamper("DELETE FROM leases WHERE name = 'gc'");
        var (code, _, errors) = await RunAsync(arguments);
        Assert.True(code == 0, errors);
        Assert.False(File.Exists(garbage));
        Assert.Empty(Directory.EnumerateFiles(_folder.File("npm-mirror-data/blobs/condemned")));
        await FetchAsync("ms/-/ms-1.0.0.tgz");
        await Eventually.Async(() => Blobs.Count() == 1);
        Assert.Equal(0, (await RunAsync("verify", "--restart")).Code);
    }

    [Fact]
    public async Task A_tarball_evicted_beside_a_running_serve_is_fetched_again()
    {
        Age();
        var (code, output, errors) = await RunAsync("gc", "--delete", "--gc.maxBytes=1");
        Assert.True(code == 0, errors);
        Assert.Contains("evicted ms/ms-1.0.0.tgz", output, StringComparison.Ordinal);
        Assert.Empty(Blobs);

        var before = _upstream.Requests.CountOf("/ms/-/ms-1.0.0.tgz");
        await FetchAsync("ms/-/ms-1.0.0.tgz");
        Assert.Equal(before + 1, _upstream.Requests.CountOf("/ms/-/ms-1.0.0.tgz"));
        await Eventually.Async(() => Blobs.Count() == 1);
        Assert.DoesNotContain("is recorded as stored", _mirror.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Removed_names_takedowns_and_the_clients_that_fetched_them()
    {
        _upstream.UnpublishVersion("ms", "1.0.0");
        Assert.Equal(0, (await RunAsync("sync", "ms")).Code);
        var (code, output, errors) = await RunAsync("removed", "--json", "--since=1d");
        Assert.True(code == 0, errors);
        using var report = JsonDocument.Parse(output);
        var removed = Assert.Single(report.RootElement.GetProperty("removed").EnumerateArray());
        Assert.Equal(("ms", "1.0.0", "unpublished"), (removed.GetProperty("package").GetString(), removed.GetProperty("version").GetString(), removed.GetProperty("kind").GetString()));
        Assert.Equal("127.0.0.1", Assert.Single(removed.GetProperty("clients").EnumerateArray()).GetProperty("client").GetString());

        output = (await RunAsync("removed", "--package=ms")).Output;
        Assert.Contains("unpublished      ms@1.0.0", output, StringComparison.Ordinal);
        Assert.Contains("127.0.0.1 fetched it 2 times up to that day and 0 after it", output, StringComparison.Ordinal);
        Assert.Contains("0 removed.", (await RunAsync("removed", "--package=nobody")).Output, StringComparison.Ordinal);

        // Hidden, and served to old lockfiles all the same.
        Assert.DoesNotContain("\"1.0.0\":{", await _client.GetStringAsync(_address + "ms", Cancelled), StringComparison.Ordinal);
        await FetchAsync("ms/-/ms-1.0.0.tgz");
    }

    // As if all had happened weeks ago.
    private void Age()
    {
        Tamper("UPDATE tarballs SET verified_at = 0, last_served_at = NULL");
        foreach (var blob in Blobs)
        {
            File.SetLastWriteTimeUtc(blob, DateTime.UnixEpoch);
        }
    }

    private string PutGarbage(string text = "nobody's")
    {
        var hash = Convert.ToHexStringLower(SHA512.HashData(Encoding.ASCII.GetBytes(text)));
        var file = _folder.File($"npm-mirror-data/blobs/{hash[..2]}/{hash[2..4]}/{hash}");
        File.WriteAllText(file, text, Encoding.ASCII);
        File.SetLastWriteTimeUtc(file, DateTime.UnixEpoch);
        return file;
    }

    private static string HeadIn(string output) => output.Split("head is ")[1].Split(';')[0];

    private long Count(string rows)
    {
        using var connection = Connect();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // The test's own text.
        command.CommandText = "SELECT count(*) FROM " + rows;
#pragma warning restore CA2100
        return (long)command.ExecuteScalar()!;
    }

    private void Tamper(string sql)
    {
        using var connection = Connect();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // The test's own text.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    private Microsoft.Data.Sqlite.SqliteConnection Connect()
    {
        var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={_folder.File("npm-mirror-data/npm-mirror.sqlite")};Pooling=False");
        connection.Open();
        return connection;
    }

    private async Task<byte[]> FetchAsync(string path) => await _client.GetByteArrayAsync(_address + path, Cancelled);

    private Task<(int Code, string Output, string Errors)> RunAsync(params string[] arguments) => CliProcess.RunAsync(_folder.Path, arguments);
}
