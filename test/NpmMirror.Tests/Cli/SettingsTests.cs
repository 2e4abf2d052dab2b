using System.Text.Json;

namespace NpmMirror.Tests.Cli;

/// <summary>One tree of options from flags, environment and file, as <c>config</c> shows it.</summary>
public sealed class SettingsTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Claim("The native program refuses an engine's assembly in one sentence, which says what to do")]
    [Trait("Duration", "long")]
    [Fact]
    public async Task The_native_program_refuses_engine_modules()
    {
        Assert.SkipUnless(TestProgram.IsNative, "It looks at the native program: ./test.sh, or ./test.sh --native -class NpmMirror.Tests.Cli.SettingsTests");
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, ["serve", $"--store.module={typeof(SettingsTests).Assembly.Location}"]);

        const string wanted = "store.module is set, but this program is compiled to native code and loads no engine modules; run the ordinary build (NPM_MIRROR_BUILD=jit ./build.sh), or choose a built-in engine with store.engine.\n";
        Assert.Equal((2, "", wanted), (code, output, errors));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Claim("All faults at once, exit 2, nothing written (B3, never-again 23)",
        With = [$"{nameof(MirrorOptionsValidatorTests)}.{nameof(MirrorOptionsValidatorTests.Tells_the_fault)}"],
        Red = "the options are not checked where a flag was wrong, the data folder is made before the faults are told, or the exit code is 1: the first was red")]
    [Claim("Compatibility B3: a wrong option or engine is named with a right one, exit 2, nothing written",
        With =
        [
            nameof(An_unknown_engine_is_told_with_those_that_are_known),
            nameof(An_engine_refuses_options_that_it_does_not_know),
            $"{nameof(MonitorCommandTests)}.{nameof(MonitorCommandTests.An_upstream_without_a_feed_is_told_with_the_option_that_names_one)}",
        ],
        Red = "the options are not checked where a flag was wrong, or the data folder is made first: the first was red; the store's own faults are not asked for: the third")]
    [Fact]
    public async Task All_faults_of_settings_are_told_at_once_and_nothing_is_written()
    {
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path,
        [
            "serve", "--concurency=3", "--concurrency", "0", "--ttl=300", "--store.engine=Sqlite", "--store.module=x.dll",
            "--packumentMaxBytes=lots", "--metadata=listed", "--listen=https://127.0.0.1", "--admin.token", "--mode=fast", "--last_seq=-5",
        ]);

        Assert.Equal(2, code);
        Assert.Empty(output);
        string[] wanted =
        [
            "did you mean concurrency?", "concurrency is 0, which is out of range; give a whole number, from 1 to 256", "ttl is “300”", "such as 30s, 5m",
            "store.engine and store.module are both given", "packumentMaxBytes is “lots”", "metadata is listed, but list is empty",
            "listen is “https://127.0.0.1”", "--admin.token has no value", "give longpoll, continuous or poll", "last_seq is not a sequence",
        ];
        Assert.All(wanted, part => Assert.Contains(part, errors, StringComparison.Ordinal));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Claim("One tree of options: flags, environment, file",
        With = [nameof(Lists_are_repeated_or_separated_by_commas), nameof(Couch_parts_build_the_address_of_the_feed)],
        Red = "the environment beats the flags: the first was red")]
    [Claim("Flags > environment > file > defaults; every spelling (B1, A5)",
        With = [nameof(Every_spelling_of_an_option_means_the_same), nameof(Couch_parts_build_the_address_of_the_feed)],
        Red = "the environment beats the flags: the first was red; underscores count, or the older place of an engine's options is not known: the second")]
    [Fact]
    public async Task Flags_beat_environment_which_beats_file_which_beats_defaults()
    {
        File.WriteAllText(_folder.File("my.json"), """{ "concurrency": 3, "delay": 4, "mode": "poll", "tarballHosts": ["a.example.org", "b.example.org"], "store": { "engine": "sqlite", "options": { "path": "a" } } }""");
        var config = await ConfigAsync(["--config", "my.json", "--concurrency=5", "--store.options.path=b"], ("NPM_MIRROR__CONCURRENCY", "4"), ("NPM_MIRROR__DELAY", "6"));

        Assert.Equal(("5", "--concurrency"), config["concurrency"]);
        Assert.Equal(("6", "NPM_MIRROR__DELAY"), config["delay"]);
        Assert.Equal(("poll", "my.json"), config["mode"]);
        Assert.Equal(("a.example.org,b.example.org", "my.json"), config["tarballHosts"]);
        Assert.Equal(("sqlite", "my.json"), config["store.engine"]);
        Assert.Equal(("b", "--store.options.path"), config["store.options.path"]);
        Assert.Equal(("5m", "default"), config["ttl"]);
    }

    [Fact]
    public async Task A_file_called_npm_mirror_json_is_read_without_being_named()
    {
        File.WriteAllText(_folder.File("npm-mirror.json"), """{ "last_seq": 17 } """);
        Assert.Equal(("17", "npm-mirror.json"), (await ConfigAsync([]))["last_seq"]);
    }

    [Trait("Duration", "long")]
    [Theory]
    [InlineData("last_seq=9", "last_seq", "9")]
    [InlineData("lastSeq=9", "last_seq", "9")]
    [InlineData("last-seq=9", "last_seq", "9")]
    [InlineData("store.engine.options.path=/srv/npm", "store.options.path", "/srv/npm")]
    [InlineData("couch.host=couch.example.org", "feed", "http://couch.example.org:5984/registry")]
    [InlineData("ttl=1.5h", "ttl", "90m")]
    [InlineData("ttl=1h30m", "ttl", "90m")]
    [InlineData("ttl=00:05:00", "ttl", "5m")]
    [InlineData("pollDelay=500ms", "pollDelay", "500ms")]
    [InlineData("cacheBytes=512KB", "cacheBytes", "512KB")]
    [InlineData("cacheBytes=1000", "cacheBytes", "1000")]
    [InlineData("tarballs=ondemand", "tarballs", "on-demand")]
    [InlineData("log.monitor=debug", "log.monitor", "debug")]
    [InlineData("publishOnly", "publishOnly", "true")]
    public async Task Every_spelling_of_an_option_means_the_same(string flag, string name, string value) =>
        Assert.Equal(value, (await ConfigAsync(["--" + flag]))[name].Value);

    [Fact]
    public async Task Couch_parts_build_the_address_of_the_feed() =>
        Assert.Equal("https://couch.example.org:8443/npm", (await ConfigAsync(["--couch.host=https://couch.example.org", "--couch.port", "8443", "--couch.db=npm"]))["feed"].Value);

    [Claim("Compatibility A5: `couch.*` names the server of feed and documents, for the program and for programs",
        With =
        [
            $"{nameof(MonitorCommandTests)}.{nameof(MonitorCommandTests.The_server_of_couch_host_gives_feed_and_documents)}",
            $"{nameof(Following.MirrorMonitorTests)}.{nameof(Following.MirrorMonitorTests.Couch_parts_are_feed_and_upstream_of_a_program_too)}",
        ],
        Red = "`MirrorOptions.TakeCouch` leaves the upstream as it was: the first and the last were red")]
    [Theory]
    [InlineData(new[] { "--couch.host=couch.example.org" }, "http://couch.example.org:5984/registry", "--couch.host")]
    [InlineData(new[] { "--couch.host=couch.example.org", "--couch.port=81", "--couch.db=npm" }, "http://couch.example.org:81/npm", "--couch.host")]
    [InlineData(new[] { "--couch.host=couch.example.org", "--upstream=https://registry.example.org/" }, "https://registry.example.org/", "--upstream")]
    public async Task Couch_parts_name_the_upstream_too_where_no_other_is_named(string[] flags, string upstream, string origin) =>
        Assert.Equal((upstream, origin), (await ConfigAsync(flags))["upstream"]);

    [Fact]
    public async Task Lists_are_repeated_or_separated_by_commas()
    {
        var config = await ConfigAsync(["--metadata=listed", "--list=left-pad, right-pad", "--list", "@types/*"]);
        Assert.Equal("left-pad,right-pad,@types/*", config["list"].Value);
    }

    [Claim("Secrets are never shown",
        With = [$"{nameof(MirrorOptionsValidatorTests)}.{nameof(MirrorOptionsValidatorTests.Tells_no_secret_of_an_address)}"],
        Red = "`Masked.Address` gives its text back")]
    [Fact]
    public async Task Secrets_are_never_shown()
    {
        string[] flags = ["--admin.token=s3cr3t", "--upstream=https://me:s3cr3t@registry.example.org/", "--store.options.password=s3cr3t", "--ttl=http://a:s3cr3t@b/"];
        var right = await CliProcess.RunAsync(_folder.Path, ["config", .. flags[..2]]);
        var wrong = await CliProcess.RunAsync(_folder.Path, ["config", .. flags]);

        Assert.Equal((0, 2), (right.Code, wrong.Code));
        Assert.DoesNotContain("s3cr3t", right.Output + right.Errors + wrong.Output + wrong.Errors, StringComparison.Ordinal);
        Assert.Contains("https://***@registry.example.org/", right.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{ \"ttl\": ", "npm-mirror.json is not the JSON object")]
    [InlineData("{ \"stor\": { \"engine\": \"Memory\" } }", "“stor.engine” (from npm-mirror.json) is not an option; did you mean store.engine?")]
    [InlineData("{ \"concurrency\": \"many\" }", "concurrency is “many” (from npm-mirror.json); give a whole number")]
    [InlineData("{ \"concurrency\": [1, 2] }", "concurrency is given 2 times")]
    public async Task A_wrong_file_is_told_with_its_name(string json, string fault)
    {
        File.WriteAllText(_folder.File("npm-mirror.json"), json);
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["config"]);
        Assert.Equal(2, code);
        Assert.Contains(fault, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_engine_refuses_options_that_it_does_not_know()
    {
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["config", "--store.options.port=6380"]);
        Assert.Equal(2, code);
        Assert.Equal("The store engine Sqlite knows path, but not store.options.port.\n", errors);
    }

    [Claim("An empty path is reported among the other faults, from any source of options",
        With = [nameof(An_empty_path_is_told_from_any_source)],
        Red = "an empty path is no fault: the last was red; the store is made with one: the last")]
    [Theory]
    [InlineData("--data=", "data is empty; give")]
    [InlineData("--data= ", "data is empty; give")]
    [InlineData("--store.options.path=", "The store engine Sqlite has an empty folder; give one with data or store.options.path.")]
    [InlineData("--store.module=", "store.module is empty; give the path of the engine's .dll.")]
    public async Task An_empty_path_is_one_fault_among_the_others(string flag, string fault)
    {
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["status", flag, "--concurrency=0"]);
        Assert.Equal(2, code);
        Assert.Equal(2, errors.TrimEnd().Split('\n').Length);
        Assert.Contains("concurrency is 0", errors, StringComparison.Ordinal);
        Assert.Contains(fault, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_empty_path_is_told_from_any_source()
    {
        File.WriteAllText(_folder.File("npm-mirror.json"), """{ "data": "" }""");
        foreach (var environment in ((string, string?)[][])[[], [("NPM_MIRROR__DATA", "")]])
        {
            var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["config"], environment);
            Assert.Equal(2, code);
            Assert.StartsWith("data is empty; give", Assert.Single(errors.TrimEnd().Split('\n')), StringComparison.Ordinal);
        }
    }

    [Claim("Without a named upstream it is the one that npm names, and `config` tells it",
        Red = "`config` does not tell where it comes from")]
    [Theory]
    [InlineData("registry=https://me:s3cret@registry.example.org/npm/", "https://***@registry.example.org/npm")]
    [InlineData("registry=nonsense", "The upstream's address, npm's registry setting, is “nonsense”; give --upstream http(s)://host/path.")]
    public async Task An_upstream_that_is_not_named_is_the_one_that_npm_names(string npmrc, string told)
    {
        File.WriteAllText(_folder.File(".npmrc"), npmrc);
        var config = await ConfigAsync([], ("npm_config_registry", null), ("npm_config_userconfig", _folder.File(".npmrc")));
        Assert.Equal((told, "npm's own configuration"), config["upstream"]);
    }

    [Fact]
    public async Task An_unknown_engine_is_told_with_those_that_are_known()
    {
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["mirror", "--store.engine=Oracle"]);
        Assert.Equal(2, code);
        Assert.Contains("There is no store engine “Oracle”; store.engine knows Memory, MongoDB, Postgres, ", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_command_is_wrong_usage()
    {
        var (code, _, errors) = await CliProcess.RunAsync(_folder.Path, ["confg"]);
        Assert.Equal(2, code);
        Assert.Contains("confg", errors, StringComparison.Ordinal);
    }

    private async Task<Dictionary<string, (string Value, string From)>> ConfigAsync(string[] flags, params (string, string?)[] environment)
    {
        var (code, output, errors) = await CliProcess.RunAsync(_folder.Path, ["config", "--json", .. flags], environment);
        Assert.True(code == 0, errors);
        using var json = JsonDocument.Parse(output);
        return json.RootElement.EnumerateObject().ToDictionary(
            option => option.Name, option => (option.Value.GetProperty("value").GetString()!, option.Value.GetProperty("from").GetString()!));
    }
}
