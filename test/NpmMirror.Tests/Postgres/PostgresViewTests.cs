using System.Globalization;
using System.Text.Json;
using NpmMirror.Log;
using NpmMirror.Storage;
using NpmMirror.Tests.Storage;

namespace NpmMirror.Tests.Postgres;

/// <summary>That the views say what the packuments say, however they came.</summary>
[Trait("Duration", "long")]
public sealed class PostgresViewTests(SharedPostgres shared) : IAsyncLifetime
{
    // All that the views say, one line a row, and the names that dependencies are found by. The times of versions are in it; those of the store are its own.
    private const string All =
        """
        select concat_ws('|', 'package', name, description, license, removed, is_current) from npm_packages
        union all select concat_ws('|', 'version', package, version, published_at, license, deprecated, dependencies, manifest) from npm_versions
        union all select concat_ws('|', 'dependency', package, version, dependency, range, published_at) from npm_dependencies
        union all select concat_ws('|', 'keyword', package, keyword) from npm_keywords
        union all select concat_ws('|', 'maintainer', package, maintainer) from npm_maintainers
        union all select concat_ws('|', 'tag', package, tag, version) from npm_dist_tags
        union all select concat_ws('|', 'word', p.name, w.word) from package_words w join packages p on p.id = w.package where w.kind = 2 order by 1
        """;

    // To a store of before: what the step to version 2 adds goes.
    private const string Older =
        """
        drop view npm_packages, npm_versions, npm_dependencies, npm_keywords, npm_maintainers, npm_dist_tags;
        drop table package_versions, package_words;
        drop function jsonb_or_null;
        alter table packages drop column described, drop column has_manifests, drop column description, drop column license;
        update npm_mirror_schema set version = 1
        """;

    private PostgresServer _server = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _server = await shared.GetAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Claim("The views of PostgreSQL say what a package's last document says, whatever came before, in the transaction of its commit",
        Red = "`QueryRows.Drop` does nothing: red; `isShrunk` stays false, so names of dependencies stay that no version has: red")]
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Say_the_same_as_the_last_document(int seed)
    {
        var random = new Random(seed);
        await using var changed = await OpenAsync();
        await using var fresh = await OpenAsync();
        var last = "";
        for (var generation = 0; generation < 8; generation++)
        {
            last = NewDocument(random);
            await CommitAsync(changed, QueriedPackages.NewCommit("mixed", generation, last));
        }

        await CommitAsync(fresh, QueriedPackages.NewCommit("mixed", 0, last));
        Assert.Equal(await DumpAsync(fresh), await DumpAsync(changed));
    }

    [Fact]
    public async Task Say_the_same_as_real_packuments()
    {
        await using var store = await OpenAsync();
        var (versions, dependencies, tags) = (0, 0, 0);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(TestTools.Root, "test/NpmMirror.Tests/Fixtures/packuments"), "*.json"))
        {
            var json = await File.ReadAllTextAsync(file, Cancelled);
            using var document = JsonDocument.Parse(json);
            await CommitAsync(store, QueriedPackages.NewCommit(Uri.UnescapeDataString(Path.GetFileNameWithoutExtension(file)), 0, json));
            foreach (var version in document.RootElement.GetProperty("versions").EnumerateObject())
            {
                versions++;
                dependencies += version.Value.TryGetProperty("dependencies", out var found) && found.ValueKind == JsonValueKind.Object ? found.EnumerateObject().Count() : 0;
            }

            tags += document.RootElement.GetProperty("dist-tags").EnumerateObject().Count();
        }

        Assert.True(versions > 20 && dependencies > 0);
        var numbers = await RunAsync(store, "select concat_ws(',', (select count(*) from npm_versions), (select count(*) from npm_dependencies), (select count(*) from npm_dist_tags))");
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"{versions},{dependencies},{tags}"), Assert.Single(numbers));
    }

    [Claim("What people query of a package in PostgreSQL goes with its removal and with a purge of its document, and comes again with the package",
        Red = "`PostgresPurge` leaves out the statements of `Described`")]
    [Fact]
    public async Task Say_nothing_of_removed_or_purged_packages()
    {
        await using var store = await OpenAsync();
        await CommitAsync(store, QueriedPackages.NewCommit("express", 0, QueriedPackages.Express));
        var whole = await DumpAsync(store);
        await CommitAsync(store, QueriedPackages.NewCommit("express", 1, null, RemovalKind.Blocked));
        Assert.Equal(["package|express|t|t"], await DumpAsync(store));

        // It comes back without a document: in the background.
        await CommitAsync(store, QueriedPackages.NewCommit("express", 2, null));
        await RestartAsync(store);
        await Eventually.Async(async () => (await DumpAsync(store)).SequenceEqual(whole));

        // A new document after that: a difference to what is there.
        await CommitAsync(store, QueriedPackages.NewCommit("express", 3, QueriedPackages.Express.Replace("5.0.0", "5.0.1", StringComparison.Ordinal)));
        Assert.Equal(whole.Select(line => line.Replace("5.0.0", "5.0.1", StringComparison.Ordinal)).Order(StringComparer.Ordinal), await DumpAsync(store));

        var row = (await store.Packages.FindAsync(PackageName.Parse("express"), Cancelled))!;
        Assert.NotNull(await store.Packages.PurgeAsync(new PackagePurge(row.Name, row.Generation, [], [row.DocumentSha256]), Cancelled));
        Assert.Equal(["package|express|f|t"], await DumpAsync(store));
        await CommitAsync(store, QueriedPackages.NewCommit("express", row.Generation + 1, QueriedPackages.Express));
        Assert.Equal(whole, await DumpAsync(store));

        // A purge of what went before takes nothing of it away.
        Assert.NotNull(await store.Packages.PurgeAsync(new PackagePurge(row.Name, row.Generation + 2, [], [row.DocumentSha256]), Cancelled));
        await CommitAsync(store, QueriedPackages.NewCommit("express", row.Generation + 3, null));
        Assert.Equal(whole, await DumpAsync(store));
    }

    [Fact]
    public async Task Say_the_same_of_a_copy()
    {
        await using var one = await OpenAsync();
        await using var other = await OpenAsync();
        await QueriedPackages.FillAsync(one, Cancelled);
        foreach (var name in (string[])["express", "ms", "left-pad", "@types/ms", "gone", "express"])
        {
            await other.Import!.PutPackageAsync((await one.Packages.ReadAsync(PackageName.Parse(name), Cancelled))!, isPinned: false, Cancelled);
        }

        Assert.Equal(await DumpAsync(one), await DumpAsync(other));
    }

    [Claim("A PostgreSQL store of an older npm-mirror is filled for queries in the background, and goes on where a program was ended; what an older program writes meanwhile is seen",
        Red = "rows count as current whatever their generation is: the package that the older program changed stayed as it was")]
    [Fact]
    public async Task Come_to_a_store_that_an_older_program_wrote()
    {
        var store = await OpenAsync();
        await QueriedPackages.FillAsync(store, Cancelled);
        var whole = await DumpAsync(store);
        await RunAsync(store, Older);
        await using var again = Create(store.Location);
        await store.DisposeAsync();
        await again.OpenAsync(Cancelled);
        Assert.DoesNotContain("package|ms|MIT|f|t", await DumpAsync(again));
        await FillAsync(again, whole);

        // As after an end in the middle, and as an older program that still ran wrote a package without its rows.
        await RunAsync(again, "update packages set described = 0, description = null, license = null where name = 'left-pad'; delete from package_versions where version = '1.3.0'");
        await RunAsync(again, "update packages set generation = generation + 7 where name = 'ms'; update package_versions set deprecated = 'old' where version = '2.1.3'");
        await FillAsync(again, whole);
    }

    [Claim("No packument keeps a PostgreSQL store from taking it, however odd or long its names: what an index or jsonb cannot hold is left out of the views",
        Red = "names of any length are taken: the index refuses the row and the commit fails; `on conflict do nothing` left out: two names that are stored as one end the commit")]
    [Fact]
    public async Task Leave_out_values_that_cannot_be_a_row()
    {
        await using var store = await OpenAsync("&manifests=jsonb");
        var (longName, fullName) = (Ideographs(3_000), Ideographs(256));
        var odd = $$"""
            {"name":"odd","description":"a\u0000b\ud800","keywords":["\u0000","{{longName}}","{{fullName}}","a,'b\"\\{}"],"maintainers":[{"name":"\ud800"},{"name":"\ud801"}],
            "license":[{{string.Join(',', Enumerable.Range(0, 30).Select(i => $"\"{i}{fullName[3..]}\""))}}],"dist-tags":{"{{fullName}}":"{{fullName}}","\u0000":"{{longName}}","latest":"1.0.0"},
            "versions":{"1.0.0":{"version":"1.0.0","deprecated":"\u0000","dependencies":{"\u0000":"\ud800","x\ud800":"1","x\ud801":"2","{{longName}}":"1","{{fullName}}":"1","n":7} },
            "\ud800":{},"\ud801":{},"{{longName}}":{},"{{fullName}}":{"bin":"\u0000"},"deep":{"bin":{{new string('[', 60)}}1e999999{{new string(']', 60)}} } },"time":{"1.0.0":"0001-01-01T00:00:00.000Z","deep":"9999-12-31T23:59:59.999Z"} }
            """;
        await CommitAsync(store, QueriedPackages.NewCommit("odd", 0, odd));
        await CommitAsync(store, QueriedPackages.NewCommit("odd", 1, odd.Replace("1e999999", "2e999999", StringComparison.Ordinal)));
        var lines = await DumpAsync(store);
        Assert.Contains(lines, line => line.StartsWith("package|odd|a\u0001\u0001b\ufffd|", StringComparison.Ordinal) && line.EndsWith("|t", StringComparison.Ordinal));
        Assert.Equal(4, lines.Count(line => line.StartsWith("version|odd|", StringComparison.Ordinal)));
        Assert.Contains($"dependency|odd|1.0.0|{fullName}|1", lines.Select(line => line.Replace("|0001-01-01 00:00:00+00", "", StringComparison.Ordinal).Split("|-infinity")[0]));
        Assert.Equal(["\ufffd {}"], await RunAsync(store, "select version || ' ' || manifest from npm_versions where manifest is not null"));
    }

    [Fact]
    public async Task Take_a_packument_of_40000_versions()
    {
        await using var store = await OpenAsync();
        await CommitAsync(store, QueriedPackages.NewCommit("long", 0, Many(0, 40_000)));
        await CommitAsync(store, QueriedPackages.NewCommit("long", 1, Many(20_000, 60_000)));
        Assert.Equal(["40000,20000,59999"], await RunAsync(store, "select concat_ws(',', count(*), min((dependencies ->> 'n')::int), max((dependencies ->> 'n')::int)) from npm_versions"));
    }

    [Claim("`manifests=jsonb` keeps the small part of each manifest, and fills a package when it changes after the option was turned on; `queries=off` writes nothing, and what was there goes as packages change",
        Red = "only versions that changed get a manifest after the option was turned on")]
    [Fact]
    public async Task Have_manifests_by_option_and_nothing_by_another()
    {
        const string Manifests = "select version || ' ' || coalesce(manifest ->> 'bin', 'none') from npm_versions order by 1";
        await using var plain = await OpenAsync();
        await CommitAsync(plain, QueriedPackages.NewCommit("x", 0, Document("1.0.0")));
        Assert.Equal(["1.0.0 none"], await RunAsync(plain, Manifests));
        await using var with = Create(plain.Location + "&manifests=jsonb");
        await CommitAsync(with, QueriedPackages.NewCommit("x", 1, Document("1.0.0", "1.0.1")));
        Assert.Equal(["1.0.0 a.js", "1.0.1 a.js"], await RunAsync(plain, Manifests));
        Assert.Equal(["{\"bin\": \"a.js\", \"version\": \"1.0.0\"}"], await RunAsync(plain, "select manifest from npm_versions where version = '1.0.0'"));

        await using var without = Create(plain.Location + "&queries=off");
        await CommitAsync(without, QueriedPackages.NewCommit("y", 0, Document("2.0.0").Replace("\"x\"", "\"y\"", StringComparison.Ordinal)));
        Assert.Equal(2, (await RunAsync(plain, Manifests)).Length);
        await CommitAsync(without, QueriedPackages.NewCommit("x", 2, null));
        Assert.Equal(["package|x|f|f", "package|y|f|f"], await DumpAsync(plain));
        await FillAsync(plain, ["package|x|f|t", "package|y|f|t", "version|x|1.0.0|{}", "version|x|1.0.1|{}", "version|y|2.0.0|{}"]);
    }

    private static string Document(params string[] versions) =>
        $$"""{"name":"x","versions":{ {{string.Join(',', versions.Select(version => $$"""{{Quoted(version)}}:{"version":"{{version}}","readme":"long","bin":"a.js"}"""))}} } }""";

    /// <summary>Three bytes a character, and no run that could be compressed.</summary>
    private static string Ideographs(int count) => string.Concat(Enumerable.Range(0, count).Select(i => (char)(0x4e00 + (i * 7_919 % 20_000))));

    private static string Quoted(string text) => $"\"{text}\"";

    private static string Many(int from, int to) =>
        $$"""{"name":"long","versions":{ {{string.Join(',', Enumerable.Range(from, to - from).Select(i => $$"""{{Quoted($"1.0.{i}")}}:{"dependencies":{"n":"{{i}}"} }"""))}} } }""";

    /// <summary>A document of few words, so that those that follow each other share some.</summary>
    private static string NewDocument(Random random)
    {
        string Some(int of, Func<int, string> write) => string.Join(',', Enumerable.Range(0, of).Where(_ => random.Next(2) == 0).Select(write));
        string Version(int i) => $$"""{{Quoted($"1.0.{i}")}}:{"license":"{{(random.Next(4) == 0 ? "ISC" : "MIT")}}","dependencies":{ {{Some(4, d => $"\"d{d}\":\"{random.Next(2)}\"")}} } }""";
        return $$"""
            {"name":"mixed","description":"{{random.Next(3)}}","license":"{{random.Next(3)}}","keywords":[{{Some(4, i => $"\"k{i}\"")}}],"maintainers":[{{Some(3, i => $"\"m{i}\"")}}],
            "dist-tags":{ {{Some(3, i => $"\"t{i}\":\"1.0.{random.Next(6)}\"")}} },"versions":{ {{Some(6, Version)}} },"time":{ {{Some(6, i => $"\"1.0.{i}\":\"2020-01-0{random.Next(1, 3)}T00:00:00.000Z\"")}} } }
            """;
    }

    private async Task<IMetadataStore> OpenAsync(string more = "")
    {
        var store = _server.Create(PostgresServer.NewSchema(), TimeProvider.System, more: more);
        await store.OpenAsync(Cancelled);
        return store;
    }

    // The location of a store tells no password.
    private IMetadataStore Create(string location) => PostgresServer.Create(_server.Location(SchemaOf(location.Split('&')[0])) + (location.Contains('&', StringComparison.Ordinal) ? location[location.IndexOf('&', StringComparison.Ordinal)..] : ""), TimeProvider.System);

    private static string SchemaOf(string location) => location.Split("schema=")[1];

    private static async Task CommitAsync(IMetadataStore store, PackageCommit commit) => Assert.True((await store.Packages.CommitAsync(commit, Cancelled)).IsCommitted);

    private Task<string[]> RunAsync(IMetadataStore store, string sql) => _server.RunAsync($"set timezone = 'UTC'; {sql}", SchemaOf(store.Location));

    private async Task<string[]> DumpAsync(IMetadataStore store)
    {
        var lines = await RunAsync(store, All);
        Array.Sort(lines, StringComparer.Ordinal);
        return lines;
    }

    /// <summary>A process starts, and commits something.</summary>
    private async Task RestartAsync(IMetadataStore store)
    {
        await using var started = Create(store.Location);
        await CommitAsync(started, QueriedPackages.NewCommit("started", 0, """{"name":"started","versions":{}}"""));
        await Eventually.Async(async () => (await RunAsync(store, "select count(*) from npm_packages where not is_current"))[0] == "0");
        await RunAsync(store, "delete from packages where name = 'started'");
    }

    private async Task FillAsync(IMetadataStore store, string[] expected)
    {
        await RestartAsync(store);
        Assert.Equal(expected, await DumpAsync(store));
    }
}
