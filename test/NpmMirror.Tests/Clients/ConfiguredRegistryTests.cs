using System.Text.Json.Nodes;

namespace NpmMirror.Tests.Clients;

/// <summary>One run against the registry that this machine's npm is configured for: real packages, real quirks, as few requests as it takes.</summary>
[Collection("Clients")]
public sealed class ConfiguredRegistryTests
{
    private static readonly Uri DeadUpstream = new("http://127.0.0.1:9/");

    // Scoped, prerelease, retired, and one for another platform.
    private static readonly Dictionary<string, string> Dependencies = new() { ["is-odd"] = "3.0.1", ["ms"] = "3.0.0-canary.1", ["debug"] = "4.4.3", ["@types/ms"] = "2.1.0", ["resolve-url"] = "0.2.1" };

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A real project installs from the registry that npm is configured for")]
    [Fact]
    public async Task A_real_project_installs_and_installs_again_without_the_registry()
    {
        var upstream = await ConfiguredRegistryAsync();
        var client = new NpmClient();
        using var data = new TestFolder();
        using var sandbox = new ClientSandbox();
        await using var relay = await ClientRelay.StartAsync(Cancelled);
        client.Configure(sandbox, relay.Registry);
        sandbox.WriteProject("package.json", new JsonObject
        {
            ["name"] = "project",
            ["version"] = "1.0.0",
            ["dependencies"] = new JsonObject(Dependencies.Select(pair => KeyValuePair.Create<string, JsonNode?>(pair.Key, pair.Value))),
            ["optionalDependencies"] = new JsonObject { ["fsevents"] = "2.3.3" },
        }.ToJsonString());

        // The mirror reaches its upstream as npm on this machine does: same home, same proxies.
        await using (var mirror = await MirrorProcess.StartAsync(upstream, data.Path, environment: MachineEnvironment(), cancellationToken: Cancelled))
        {
            relay.Target = mirror.Url;
            await InstallAsync(client, sandbox, relay, mirror, isFrozen: false);
            await AssertLockedAsUpstreamAsync(client.ReadLock(sandbox.ReadProject("package-lock.json")));
            Assert.Equal(0, await mirror.StopAsync());
        }

        var lockfile = sandbox.ReadProject("package-lock.json");
        await using var offline = await MirrorProcess.StartAsync(DeadUpstream, data.Path, cancellationToken: Cancelled);
        relay.Target = offline.Url;
        foreach (var isFrozen in new[] { false, true })
        {
            sandbox.Cool(keepsLock: isFrozen, client.LockFile);
            await InstallAsync(client, sandbox, relay, offline, isFrozen);
            Assert.Equal(lockfile, sandbox.ReadProject("package-lock.json"));
        }
    }

    private static async Task InstallAsync(PackageClient client, ClientSandbox sandbox, ClientRelay relay, MirrorProcess mirror, bool isFrozen)
    {
        relay.Forget();
        var run = await client.InstallAsync(sandbox, isFrozen, Cancelled);
        Assert.True(run.ExitCode == 0, $"npm failed:\n{run.Output}\nThe mirror said:\n{mirror.Output}");
        Assert.All(Dependencies, pair => Assert.Equal(pair.Value, sandbox.Installed(pair.Key)));

        var locked = client.ReadLock(sandbox.ReadProject("package-lock.json"));
        Assert.Equal(locked.Keys.Count(), relay.Tarballs.Count);
        Assert.Equal(locked.Values.Order(StringComparer.Ordinal), relay.Tarballs.Select(tarball => tarball.Integrity).Order(StringComparer.Ordinal));
    }

    /// <summary>The integrities that npm gets for the same versions from the registry itself.</summary>
    private static async Task AssertLockedAsUpstreamAsync(IReadOnlyDictionary<string, string> locked)
    {
        foreach (var (id, integrity) in locked.Where(entry => Dependencies.ContainsKey(entry.Key[..entry.Key.LastIndexOf('@')])))
        {
            var run = await NpmOfThisMachineAsync("view", id, "dist.integrity", "--loglevel=silent");
            Assert.Equal(integrity, run.Output.Trim());
        }
    }

    private static async Task<Uri> ConfiguredRegistryAsync()
    {
        Assert.SkipUnless(TestTools.Has("npm"), TestTools.Missing("npm"));
        var configured = await NpmOfThisMachineAsync("config", "get", "registry", "--loglevel=silent");
        Assert.SkipUnless(Uri.TryCreate(configured.Output.Trim(), UriKind.Absolute, out var upstream), $"npm is configured for no registry: {configured.Output}");
        var view = await NpmOfThisMachineAsync("view", "is-odd", "name");
        Assert.SkipUnless(view.ExitCode == 0, $"The registry that npm is configured for does not answer, and this test needs it: {view.Output}");
        return upstream!;
    }

    private static async Task<TestRun> NpmOfThisMachineAsync(params string[] arguments)
    {
        using var folder = new TestFolder();
        return await TestProcess.RunAsync([.. TestTools.Command("npm"), .. arguments], folder.Path, MachineEnvironment(), TimeSpan.FromSeconds(60), Cancelled);
    }

    private static Dictionary<string, string> MachineEnvironment() =>
        Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>().ToDictionary(entry => (string)entry.Key, entry => (string)entry.Value!, StringComparer.Ordinal);
}
