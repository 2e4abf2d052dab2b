using System.Text.Json.Nodes;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Clients;

/// <summary>Other commands of npm's users: each run depends on a part of the metadata that a mirror could lose.</summary>
[Collection("Clients")]
public sealed class NpmCommandTests : IAsyncLifetime
{
    private ClientBench _bench = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _bench = await ClientBench.StartAsync("npm", Cancelled);

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Fact]
    public async Task View_shows_the_readme() =>
        Assert.Contains("How to use it.", await _bench.SucceedAsync(Cancelled, "view", "@scope/tool", "readme"), StringComparison.Ordinal);

    [Fact]
    public async Task View_lists_versions_tags_and_times_as_the_upstream_does()
    {
        var seen = JsonNode.Parse(await _bench.SucceedAsync(Cancelled, "view", "plain", "versions", "dist-tags", "time", "--json"))!;
        var upstream = JsonNode.Parse(_bench.Upstream.Packument("plain")!)!;

        Assert.Equal(["1.0.0", "1.1.0", "2.0.0"], seen["versions"]!.AsArray().Select(version => (string)version!));
        Assert.True(JsonNode.DeepEquals(upstream["dist-tags"], seen["dist-tags"]));
        Assert.True(JsonNode.DeepEquals(upstream["time"], seen["time"]));
    }

    [Claim("Deprecations, readme, times, tags, sha1-only versions, unpublished and holder packages reach npm",
        With =
        [
            nameof(View_shows_the_readme),
            nameof(View_lists_versions_tags_and_times_as_the_upstream_does),
            nameof(Install_takes_a_version_from_before_sha512),
            nameof(An_unpublished_package_is_told_to_be_unpublished),
            nameof(A_security_holder_is_shown_in_place_of_the_taken_down_package),
        ],
        Red = "full documents are never given: the second was red; an unpublished package is taken for one without versions: the fifth")]
    [Fact]
    public async Task Install_warns_of_a_deprecated_package() =>
        Assert.Contains("retired@1.0.0: retired is retired; use plain", await _bench.SucceedAsync(Cancelled, "install", "retired"), StringComparison.Ordinal);

    [Fact]
    public async Task Install_takes_a_version_from_before_sha512()
    {
        await _bench.SucceedAsync(Cancelled, "install", "ancient");
        Assert.Equal(ClientPackages.Promised(_bench.Upstream, "ancient@0.1.0"), _bench.Client.ReadLock(_bench.Sandbox.ReadProject("package-lock.json"))["ancient@0.1.0"]);
        Assert.StartsWith("sha1-", ClientPackages.Promised(_bench.Upstream, "ancient@0.1.0"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Install_follows_a_tag()
    {
        await _bench.SucceedAsync(Cancelled, "install", "early@beta");
        Assert.Equal("2.0.0-beta.1", _bench.Sandbox.Installed("early"));
    }

    [Fact]
    public async Task An_unpublished_package_is_told_to_be_unpublished()
    {
        _bench.Upstream.Publish(new FakePackage("withdrawn").Version("1.0.0"));
        _bench.Upstream.Unpublish("withdrawn");

        Assert.Contains("unpublished", await _bench.FailAsync(Cancelled, "view", "withdrawn"), StringComparison.OrdinalIgnoreCase);
        Assert.Contains("unpublished", await _bench.FailAsync(Cancelled, "install", "withdrawn"), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task An_unknown_package_is_a_404() =>
        Assert.Contains("E404", await _bench.FailAsync(Cancelled, "install", "no-such-package"), StringComparison.Ordinal);

    [Fact]
    public async Task A_security_holder_is_shown_in_place_of_the_taken_down_package()
    {
        _bench.Upstream.Publish(FakePackage.SecurityHolder("evil"));

        Assert.Contains("0.0.1-security", await _bench.SucceedAsync(Cancelled, "view", "evil", "version"), StringComparison.Ordinal);
        Assert.Contains("ETARGET", await _bench.FailAsync(Cancelled, "install", "evil@1.0.0"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dist_tag_ls_lists_the_tags()
    {
        var output = await _bench.SucceedAsync(Cancelled, "dist-tag", "ls", "plain");
        Assert.Contains("latest: 2.0.0", output, StringComparison.Ordinal);
        Assert.Contains("next: 2.0.0", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ping_is_answered() => Assert.Contains("PONG", await _bench.SucceedAsync(Cancelled, "ping"), StringComparison.Ordinal);

    [Claim("`npm search` and `pnpm search` find the packages that the mirror holds, with and without the upstream",
        With = [nameof(Pnpm_search_finds_what_the_mirror_holds)],
        Red = "`SearchBody` writes no `maintainers`: npm ended with an error")]
    [Fact]
    public async Task Search_finds_what_the_mirror_holds_also_offline()
    {
        await _bench.SucceedAsync(Cancelled, "install", "plain");
        await FindsAsync("npm", "search", "plain");
        await _bench.GoOfflineAsync(Cancelled);
        await FindsAsync("npm", "search", "plain", "--searchopts=sortBy=popularity");
        Assert.Contains("\"name\":\"plain\"", (await _bench.SucceedAsync(Cancelled, "search", "plain", "--json")).Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotContain(_bench.Upstream.Requests.All, request => request.Target.Contains("search", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Pnpm_search_finds_what_the_mirror_holds()
    {
        await using var bench = await ClientBench.StartAsync("pnpm-12", Cancelled);
        await bench.SucceedAsync(Cancelled, "add", "plain");
        await Eventually.Async(async () => (await bench.SucceedAsync(Cancelled, "search", "plain")).Contains("The package plain", StringComparison.Ordinal));
    }

    // The index is within a second of the log.
    private Task FindsAsync(string tool, params string[] arguments) =>
        Eventually.Async(async () => (await _bench.SucceedAsync(Cancelled, arguments)).Contains("The package plain", StringComparison.Ordinal), tool);

    [Claim("The bulk audit is forwarded, and never says \"clean\" while the upstream is away",
        Red = "`{}` while the upstream is away")]
    [Fact]
    public async Task Audit_tells_the_upstreams_advisories_and_offline_claims_nothing()
    {
        _bench.Upstream.Advisories["plain"] = new JsonArray(new JsonObject
        {
            ["id"] = 1001,
            ["url"] = "https://advisories.example.org/GHSA-test",
            ["title"] = "plain is too plain",
            ["severity"] = "high",
            ["vulnerable_versions"] = "<2.0.0",
            ["cwe"] = new JsonArray("CWE-1"),
            ["cvss"] = new JsonObject { ["score"] = 7.5, ["vectorString"] = null },
        });
        await _bench.SucceedAsync(Cancelled, "install", "plain@1.1.0");

        Assert.Contains("plain is too plain", await _bench.FailAsync(Cancelled, "audit"), StringComparison.Ordinal);
        await _bench.GoOfflineAsync(Cancelled);
        Assert.DoesNotContain("found 0 vulnerabilities", await _bench.FailAsync(Cancelled, "audit"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_audit_waits_for_a_slow_upstream_and_an_install_does_not()
    {
        _bench.Upstream.Advisories["plain"] = new JsonArray(new JsonObject { ["id"] = 1, ["url"] = "https://advisories.example.org/1", ["title"] = "plain is too plain", ["severity"] = "high", ["vulnerable_versions"] = "<2.0.0" });
        _bench.Upstream.Knobs.Add(new FakeRule { Path = "*/bulk", HeaderDelay = TimeSpan.FromSeconds(4) });
        Assert.DoesNotContain("vulnerabilit", await _bench.SucceedAsync(Cancelled, "install", "plain@1.1.0"), StringComparison.Ordinal);
        Assert.Contains("plain is too plain", await _bench.FailAsync(Cancelled, "audit"), StringComparison.Ordinal);
    }

    [Claim("Publishing commands get a 405 that says read-only",
        Red = "PUT is let through")]
    [Theory]
    [InlineData("publish")]
    [InlineData("deprecate", "plain@1.0.0", "old")]
    [InlineData("dist-tag", "add", "plain@1.0.0", "old")]
    [InlineData("unpublish", "plain@1.0.0", "--force")]
    public async Task Publishing_commands_are_told_that_the_mirror_is_read_only(params string[] arguments)
    {
        LogIn();
        _bench.Sandbox.WriteProject("package.json", """{"name":"mine","version":"1.0.0"}""");
        var output = await _bench.FailAsync(Cancelled, arguments);

        Assert.Contains("E405", output, StringComparison.Ordinal);
        Assert.Contains("read-only", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("login")]
    [InlineData("adduser")]
    public async Task Logging_in_is_refused_before_a_password_is_asked_for(string command)
    {
        var output = await _bench.FailAsync(Cancelled, command);

        Assert.Contains("read-only", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Username", output, StringComparison.OrdinalIgnoreCase);
    }

    [Claim("`_rev` is the upstream's",
        Red = "the full form spells the member otherwise")]
    [Fact]
    public async Task Unpublish_names_the_revision_that_the_upstream_told()
    {
        LogIn();
        await _bench.FailAsync(Cancelled, "unpublish", "plain@1.0.0", "--force");

        Assert.Equal($"/npm/plain/-rev/{_bench.Upstream.Revision("plain")}", _bench.Relay.Requests.All.Single(request => request.Method == "PUT").Path);
    }

    [Claim("A client's token stays with the mirror",
        Red = "the audit passes the client's `Authorization` on")]
    [Fact]
    public async Task A_clients_token_stays_with_the_mirror()
    {
        LogIn();
        await _bench.SucceedAsync(Cancelled, "install", "plain");

        Assert.Contains(_bench.Relay.Requests.All, request => request.Header("authorization") == "Bearer client-token");
        Assert.DoesNotContain(_bench.Upstream.Requests.All, request => request.Header("authorization") is not null);
    }

    private void LogIn() => _bench.Sandbox.WriteProject(".npmrc", $"{_bench.Sandbox.ReadProject(".npmrc")}\n//{_bench.Relay.Url.Authority}/npm/:_authToken=client-token\n");
}
