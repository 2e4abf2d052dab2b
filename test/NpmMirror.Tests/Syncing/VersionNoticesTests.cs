using NpmMirror.Log;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Syncing;

public sealed class VersionNoticesTests
{
    [Claim("Deprecations, new install scripts and lost provenance are told, each compared with the version below",
        With =
        [
            nameof(A_version_with_an_install_script_is_compared_with_the_one_below),
            nameof(A_script_that_was_there_before_or_runs_at_another_time_is_nothing_new),
            nameof(A_version_without_provenance_after_one_that_had_it_is_told),
            nameof(A_manifest_that_changed_in_place_is_compared_with_itself),
            $"{nameof(Packuments.VersionOrderTests)}.{nameof(Packuments.VersionOrderTests.Stands_as_semver_says)}",
        ],
        Red = "a prerelease counts as what a stable version is compared with: the second was red")]
    [Fact]
    public async Task A_deprecation_is_told_with_its_words_and_so_is_its_end()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0").Version("1.1.0").Version("2.0.0"));
        await bench.SyncAsync("a");
        bench.Upstream.Deprecate("a", "1.0.0", "use 2");
        bench.Upstream.Deprecate("a", "1.1.0", "use 2");
        bench.Upstream.Deprecate("a", "2.0.0", "use \"b\"");
        await bench.SyncAsync("a");
        bench.Upstream.Deprecate("a", "1.1.0", "");
        await bench.SyncAsync("a");

        var told = (await bench.EventsAsync()).OfType<Deprecated>().ToList();
        Assert.Equal(["use 2: 1.0.0,1.1.0", "use \"b\": 2.0.0"], Texts(told[0]));
        Assert.Equal([": 1.1.0"], Texts(told[1]));
    }

    [Theory]
    [InlineData("1.0.1", "1.0.0")] // the line it belongs to, not what was published last
    [InlineData("1.0.1-rc.1", "1.0.0")]
    [InlineData("3.0.0", "2.0.0")] // a prerelease is not what a stable one is compared with
    [InlineData("2.1.0-beta.3", "2.1.0-beta.2")]
    [InlineData("0.0.1", null)] // nothing was before it
    [InlineData("odd", null)]
    public async Task A_version_with_an_install_script_is_compared_with_the_one_below(string version, string? previous)
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0").Version("2.0.0").Version("2.1.0-beta.2").Version("older"));
        await bench.SyncAsync("a");
        bench.Upstream.PublishVersion("a", version, published => published.Scripts["postinstall"] = "node steal.js");
        await bench.SyncAsync("a");

        var told = (await bench.EventsAsync()).OfType<InstallScriptAppeared>().SingleOrDefault();
        Assert.Equal(previous, told?.Versions.Single().Previous);
        Assert.Equal(previous is null ? null : version, told?.Versions.Single().Version);
    }

    [Fact]
    public async Task A_script_that_was_there_before_or_runs_at_another_time_is_nothing_new()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0", first => first.Scripts["install"] = "node-gyp rebuild"));
        bench.Upstream.Publish(new FakePackage("b").Version("1.0.0"));
        await bench.SyncAsync("a");
        await bench.SyncAsync("b");
        bench.Upstream.PublishVersion("a", "1.0.1", published => published.Scripts["postinstall"] = "node x");
        bench.Upstream.PublishVersion("b", "1.0.1", published => published.Scripts["prepare"] = "tsc");
        await bench.SyncAsync("a");
        await bench.SyncAsync("b");
        Assert.Empty((await bench.EventsAsync()).OfType<InstallScriptAppeared>());
    }

    [Fact]
    public async Task A_version_without_provenance_after_one_that_had_it_is_told()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0").Version("2.0.0", built => built.HasAttestations = true));
        await bench.SyncAsync("a");
        bench.Upstream.PublishVersion("a", "1.0.1");
        bench.Upstream.PublishVersion("a", "2.0.1", built => built.HasAttestations = true);
        await bench.SyncAsync("a");
        Assert.Empty((await bench.EventsAsync()).OfType<ProvenanceLost>());

        bench.Upstream.PublishVersion("a", "2.0.2");
        await bench.SyncAsync("a");
        Assert.Equal([new ComparedVersion("2.0.2", "2.0.1")], (await bench.EventsAsync()).OfType<ProvenanceLost>().Single().Versions);
    }

    [Fact]
    public async Task A_manifest_that_changed_in_place_is_compared_with_itself()
    {
        await using var bench = await MirrorBench.StartAsync();
        bench.Upstream.Publish(new FakePackage("a").Version("1.0.0", built => built.HasAttestations = true));
        await bench.SyncAsync("a");
        bench.Upstream.Edit("a", packument =>
        {
            var manifest = packument["versions"]!["1.0.0"]!.AsObject();
            manifest["scripts"] = new System.Text.Json.Nodes.JsonObject { ["preinstall"] = "node x" };
            manifest["dist"]!.AsObject().Remove("attestations");
        });
        await bench.SyncAsync("a");
        var events = await bench.EventsAsync();
        Assert.Equal([new ComparedVersion("1.0.0", "1.0.0")], events.OfType<InstallScriptAppeared>().Single().Versions);
        Assert.Equal([new ComparedVersion("1.0.0", "1.0.0")], events.OfType<ProvenanceLost>().Single().Versions);
    }

    private static IEnumerable<string> Texts(Deprecated told) => told.Deprecations.Select(deprecation => $"{deprecation.Message}: {string.Join(',', deprecation.Versions)}");
}
