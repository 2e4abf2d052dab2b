using System.Diagnostics;
using System.Net;
using System.Text.Json;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Cli;

/// <summary>Commands that work beside a running <c>serve</c> on the same folder: status, sync, backup.</summary>
[Trait("Duration", "long")]
public sealed class BesideServeTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private readonly HttpClient _client = new();
    private FakeRegistry _upstream = null!;
    private CliProcess _mirror = null!;
    private string _address = "";

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeRegistry.StartAsync();
        _upstream.Publish(new FakePackage("ms").Version("2.1.3"));
        _upstream.Publish(new FakePackage("@scope/one").Version("1.0.0"));
        _mirror = CliProcess.Start(_folder.Path, ["serve", $"--upstream={_upstream.Url}", "--feed=none", "--search=forward", "--listen=http://127.0.0.1:0"]);
        _address = (await _mirror.WaitForOutputAsync("Serving ")).Split(' ')[1];
    }

    public async ValueTask DisposeAsync()
    {
        await _mirror.DisposeAsync();
        await _upstream.DisposeAsync();
        _client.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Status_counts_packages_of_the_running_mirror()
    {
        await FetchAsync("ms/-/ms-2.1.3.tgz");
        var status = await StatusAsync();

        Assert.Equal(1, status.GetProperty("counts").GetProperty("packages").GetInt64());
        Assert.Equal(1, status.GetProperty("counts").GetProperty("tarballs").GetInt64());
        Assert.Equal(1, status.GetProperty("log").GetProperty("position").GetInt64());
        Assert.True(status.GetProperty("writable").GetBoolean());
        var (code, text, _) = await RunAsync("status");
        Assert.Equal(0, code);
        Assert.Contains("Packages  1 held, 0 removed", text, StringComparison.Ordinal);
    }

    [Claim("Status and sync beside a running serve",
        With =
        [
            nameof(Status_counts_packages_of_the_running_mirror),
            nameof(Status_lists_failing_packages_with_their_next_try),
            nameof(Sync_brings_packages_that_the_running_one_serves_at_once),
        ],
        Red = "the upstream is not noted where no feed is followed: the first was red; SQLite does not count new packages: the second; `status` leaves out what fails: the third")]
    [Fact]
    public async Task Status_names_the_upstream_also_where_no_feed_is_followed()
    {
        var upstream = (await StatusAsync()).GetProperty("upstream");
        Assert.Equal(_upstream.Url.AbsoluteUri.TrimEnd('/'), upstream.GetProperty("address").GetString());
        Assert.Equal("as the mirror noted", upstream.GetProperty("from").GetString());
        Assert.Contains($"Upstream  {_upstream.Url.AbsoluteUri.TrimEnd('/')} (as the mirror noted)", (await RunAsync("status")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Status_lists_failing_packages_with_their_next_try()
    {
        _upstream.Knobs.Fail("/ms", 500);
        Assert.Equal(1, (await RunAsync("sync", $"--upstream={_upstream.Url}", "--feed=none", "ms")).Code);

        var error = Assert.Single((await StatusAsync()).GetProperty("errors").EnumerateArray());
        Assert.Equal("ms", error.GetProperty("package").GetString());
        Assert.Contains("500", error.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Status_tells_pauses_in_requests_to_the_upstream()
    {
        _upstream.Knobs.Fail("/-/v1/search", 429, retryAfter: "120");
        using var refused = await _client.GetAsync(new Uri(_address + "-/v1/search?text=ms"), TestContext.Current.CancellationToken);
        System.Text.Json.JsonElement pauses = default;
        await Eventually.Async(async () => (pauses = (await StatusAsync()).GetProperty("pauses")).GetArrayLength() > 0);
        var pause = Assert.Single(pauses.EnumerateArray());
        Assert.Equal(("Search", "it answered 429"), (pause.GetProperty("purpose").GetString(), pause.GetProperty("reason").GetString()));
        Assert.Contains($"Paused    {_upstream.Url.Authority} is not asked for searches until ", (await RunAsync("status")).Output, StringComparison.Ordinal);
    }

    [Claim("A command without an upstream takes the one that the mirror noted, and no package of another is mixed in; reconcile makes no mirror",
        With = [nameof(Reconcile_makes_no_mirror_where_there_is_none)],
        Red = "`UpstreamSetup.Choose` does not look at the noted one, or refuses no other: the first was red; `reconcile` does not ask for a store that is there: the last")]
    [Fact]
    public async Task A_command_without_an_upstream_takes_that_of_the_mirror()
    {
        await using var other = await FakeRegistry.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        other.Publish(new FakePackage("ms").Version("9.9.9"));
        (string, string?)[] npm = [("npm_config_registry", other.Url.AbsoluteUri)];
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["sync", "ms", "--feed=none"], npm);
        Assert.True(code == 0, errors);
        Assert.Contains("2.1.3", await _client.GetStringAsync(new Uri(_address + "ms"), TestContext.Current.CancellationToken), StringComparison.Ordinal);

        (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["sync", "ms", "--feed=none", $"--upstream={other.Url}"]);
        Assert.Equal(2, code);
        Assert.Contains($"This is a mirror of {_upstream.Url.AbsoluteUri.TrimEnd('/')}", errors, StringComparison.Ordinal);
        Assert.Equal(0, other.Requests.CountOf("/ms"));
    }

    [Claim("`config` tells the upstream that a command would take, also the mirror's",
        Red = "`config` does not look at what the mirror noted")]
    [Fact]
    public async Task Config_tells_the_upstream_that_a_command_takes()
    {
        (string, string?)[] npm = [("npm_config_registry", "https://registry.example.org/")];
        var noted = _upstream.Url.AbsoluteUri.TrimEnd('/');
        Assert.Equal((noted, "as the mirror noted"), await ConfiguredAsync());
        Assert.Equal(("https://other.example.org", "--upstream"), await ConfiguredAsync("--upstream=https://other.example.org"));
        Assert.Equal(("https://registry.example.org", "npm's own configuration"), await ConfiguredAsync("--data=elsewhere"));
        Assert.False(Directory.Exists(System.IO.Path.Combine(_folder.Path, "elsewhere")));

        async Task<(string?, string?)> ConfiguredAsync(params string[] flags)
        {
            var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, ["config", "--json", .. flags], npm);
            Assert.True(code == 0, errors);
            using var config = JsonDocument.Parse(output);
            var upstream = config.RootElement.GetProperty("upstream");
            return (upstream.GetProperty("value").GetString()?.TrimEnd('/'), upstream.GetProperty("from").GetString());
        }
    }

    [Fact]
    public async Task Reconcile_makes_no_mirror_where_there_is_none()
    {
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["reconcile", "--data=elsewhere", $"--upstream={_upstream.Url}"]);
        Assert.Equal(3, code);
        Assert.Contains("There is no mirror in", errors, StringComparison.Ordinal);
        Assert.False(Directory.Exists(System.IO.Path.Combine(_folder.Path, "elsewhere")));
    }

    [Fact]
    public async Task Sync_brings_packages_that_the_running_one_serves_at_once()
    {
        var (code, text, errors) = await RunAsync("sync", $"--upstream={_upstream.Url}", "--feed=none", "ms", "@scope/one");
        Assert.True(code == 0, errors);
        Assert.StartsWith("2 changed, 0 unchanged", text, StringComparison.Ordinal);

        _upstream.Knobs.Fail("*", 500);
        Assert.Contains("\"1.0.0\"", await _client.GetStringAsync(_address + "@scope%2fone", TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Claim("Sync names failed packages and those that the upstream does not have, exit 1",
        Red = "`CatchUp` counts a named package that is not there as unchanged")]
    [Fact]
    public async Task Sync_names_failed_packages_and_unknown_names()
    {
        _upstream.Knobs.Fail("/ms", 403);
        var (code, output, _) = await RunAsync("sync", "--json", $"--upstream={_upstream.Url}", "--feed=none", "ms", "nowhere", "@scope/one");
        Assert.Equal(1, code);
        using var summary = JsonDocument.Parse(output);
        Assert.Equal(1, summary.RootElement.GetProperty("changed").GetInt32());
        Assert.Equal(0, summary.RootElement.GetProperty("unchanged").GetInt32());
        Assert.Equal(["ms", "nowhere"], summary.RootElement.GetProperty("failures").EnumerateObject().Select(failure => failure.Name).Order());
    }

    [Theory]
    [InlineData("ms@2.1.3", "ms")]
    [InlineData("@scope/one@^1", "@scope/one")]
    [InlineData("ms@", "ms")]
    public async Task A_version_given_to_sync_is_told_with_the_form_it_takes(string given, string name)
    {
        var (code, output, errors) = await RunAsync("sync", $"--upstream={_upstream.Url}", "--feed=none", given);
        Assert.Equal((2, "", $"“{given}” names a version, and sync brings a package with all its versions; write the name alone: “{name}”.\n"), (code, output, errors));
    }

    [Claim("A hot backup is one command and serves the same bytes with the upstream gone",
        Red = "`BackupCommand` copies no blobs")]
    [Fact]
    public async Task A_backup_taken_meanwhile_serves_the_same_bytes_with_the_upstream_gone()
    {
        var packument = await _client.GetStringAsync(_address + "ms", TestContext.Current.CancellationToken);
        var tarball = await FetchAsync("ms/-/ms-2.1.3.tgz");
        var (code, text, errors) = await RunAsync("backup", "copy");
        Assert.True(code == 0, errors);
        Assert.Contains("1 tarballs", text, StringComparison.Ordinal);
        Assert.Contains("0 tarballs", (await RunAsync("backup", "copy")).Output, StringComparison.Ordinal);

        await using var restored = CliProcess.Start(_folder.Path, ["serve", "--upstream=http://127.0.0.1:9/", "--feed=none", "--data=copy", "--listen=http://127.0.0.1:0"]);
        var address = (await restored.WaitForOutputAsync("Serving ")).Split(' ')[1];
        Assert.Equal(packument.Replace(_address, address, StringComparison.Ordinal), await _client.GetStringAsync(address + "ms", TestContext.Current.CancellationToken));
        Assert.Equal(tarball, await _client.GetByteArrayAsync(address + "ms/-/ms-2.1.3.tgz", TestContext.Current.CancellationToken));
        Assert.Contains("A mirror works in copy", (await RunAsync("backup", "copy")).Errors, StringComparison.Ordinal);
    }

    [Claim("A backup does not copy a damaged tarball",
        Red = "BackupCommand does not compare the hash")]
    [Fact]
    public async Task A_backup_does_not_take_a_damaged_tarball_for_a_good_one()
    {
        await FetchAsync("ms/-/ms-2.1.3.tgz");
        // The client has its last byte a moment before the file has its name.
        await Eventually.Async(() => Blobs().Any());
        var blob = Assert.Single(Blobs());
        File.SetAttributes(blob, FileAttributes.Normal);
        await File.AppendAllTextAsync(blob, "x", TestContext.Current.CancellationToken);

        var (code, _, errors) = await RunAsync("backup", "copy");
        Assert.Equal(3, code);
        Assert.Contains($"The tarball {Path.GetFileName(blob)}", errors, StringComparison.Ordinal);
        Assert.Contains("is damaged", errors, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.File("copy/npm-mirror.sqlite")));

        IEnumerable<string> Blobs() => Directory.EnumerateFiles(_folder.File("npm-mirror-data/blobs"), "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file).Length == 128);
    }

    [Fact]
    public async Task A_store_of_a_newer_program_is_refused_and_left_alone()
    {
        await _client.GetStringAsync(_address + "ms", TestContext.Current.CancellationToken);
        await _mirror.SignalAsync("TERM");
        await _mirror.WaitForExitAsync();
        var file = _folder.File("npm-mirror-data/npm-mirror.sqlite");
        using (var sqlite = Process.Start("sqlite3", [file, "PRAGMA user_version = 9999"]))
        {
            await sqlite.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        var before = await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken);
        foreach (var arguments in (string[][])[["status"], ["serve", $"--upstream={_upstream.Url}", "--listen=http://127.0.0.1:0"], ["sync", $"--upstream={_upstream.Url}"]])
        {
            var (code, _, errors) = await RunAsync(arguments);
            Assert.Equal(3, code);
            Assert.Contains("schema version 9999", Assert.Single(errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
        }

        Assert.Equal(before, await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_mirror_whose_store_a_newer_program_migrated_serves_and_is_not_ready()
    {
        await _client.GetStringAsync(_address + "ms", TestContext.Current.CancellationToken);
        using (var sqlite = Process.Start("sqlite3", [_folder.File("npm-mirror-data/npm-mirror.sqlite"), "PRAGMA user_version = 9999"]))
        {
            await sqlite.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        var ready = new Uri(new Uri(_address), "/health/ready");
        await Eventually.Async(async () =>
        {
            using var answer = await _client.GetAsync(ready, TestContext.Current.CancellationToken);
            return answer.StatusCode == HttpStatusCode.ServiceUnavailable
                && (await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Contains("to schema version 9999, and this one knows versions up to", StringComparison.Ordinal);
        });
        Assert.Contains("2.1.3", await _client.GetStringAsync(_address + "ms", TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Contains("Nothing can be written", await _mirror.WaitForErrorAsync("schema version 9999"), StringComparison.Ordinal);
    }

    private async Task<byte[]> FetchAsync(string path) => await _client.GetByteArrayAsync(_address + path, TestContext.Current.CancellationToken);

    private Task<(int Code, string Output, string Errors)> RunAsync(params string[] arguments) => CliProcess.RunAsync(_folder.Path, arguments);

    private async Task<JsonElement> StatusAsync()
    {
        var (code, output, errors) = await RunAsync("status", "--json");
        Assert.True(code == 0, errors);
        using var json = JsonDocument.Parse(output);
        return json.RootElement.Clone();
    }
}
