using System.Text.Json;
using System.Text.RegularExpressions;

namespace NpmMirror.Tests.Clients;

/// <summary>A package manager as its users run it: its configuration, its install command, and its lockfile.</summary>
public abstract class PackageClient(string tool, string lockFile)
{
    /// <summary>Every client that is tested.</summary>
    public static IReadOnlyList<PackageClient> All { get; } = [new NpmClient(), new PnpmClient("pnpm-10"), new PnpmClient("pnpm-12"), new YarnClient(), new BerryClient(), new BunClient()];

    /// <summary>Its name in <see cref="TestTools"/>.</summary>
    public string Tool { get; } = tool;

    /// <summary>The lockfile's name.</summary>
    public string LockFile { get; } = lockFile;

    /// <summary>Whether it also fetches packages for other platforms.</summary>
    public virtual bool FetchesForeignPlatforms => false;

    public static PackageClient Named(string tool) => All.Single(client => client.Tool == tool);

    /// <summary>Points the client at a registry, by its own configuration files.</summary>
    public abstract void Configure(ClientSandbox sandbox, Uri registry);

    /// <summary>The arguments of an install that writes the lockfile, or of one that may not change it.</summary>
    public abstract IReadOnlyList<string> InstallArguments(bool isFrozen);

    /// <summary>name@version → integrity of the packages that a lockfile lists and this client fetches here; an empty integrity if this client keeps none of the registry's.</summary>
    public abstract IReadOnlyDictionary<string, string> ReadLock(string text);

    public Task<TestRun> InstallAsync(ClientSandbox sandbox, bool isFrozen, CancellationToken cancellationToken) =>
        RunAsync(sandbox, InstallArguments(isFrozen), cancellationToken);

    public Task<TestRun> RunAsync(ClientSandbox sandbox, IReadOnlyList<string> arguments, CancellationToken cancellationToken) =>
        sandbox.RunAsync([.. TestTools.Command(Tool), .. arguments], cancellationToken);

    public override string ToString() => Tool;
}

internal sealed class NpmClient() : PackageClient("npm", "package-lock.json")
{
    public override void Configure(ClientSandbox sandbox, Uri registry)
    {
        sandbox.WriteProject(".npmrc", $"""
            registry={registry}
            cache={sandbox.Cache}/npm
            proxy={ClientSandbox.DeadProxy}
            https-proxy={ClientSandbox.DeadProxy}
            noproxy=127.0.0.1
            fetch-retries=0
            """);
        // The machine's own settings stay out.
        sandbox.Environment["npm_config_globalconfig"] = sandbox.Home + "/global-npmrc";
        sandbox.Environment["npm_config_userconfig"] = sandbox.Home + "/user-npmrc";
        sandbox.Environment["npm_config_prefix"] = sandbox.Home + "/prefix";
    }

    public override IReadOnlyList<string> InstallArguments(bool isFrozen) => [isFrozen ? "ci" : "install"];

    public override IReadOnlyDictionary<string, string> ReadLock(string text)
    {
        var locked = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in JsonDocument.Parse(text).RootElement.GetProperty("packages").EnumerateObject().Where(entry => entry.Name.Length > 0))
        {
            var isForeign = entry.Value.TryGetProperty("os", out var systems) && systems.EnumerateArray().All(system => system.GetString() != "linux");
            if (!isForeign)
            {
                locked[$"{entry.Name["node_modules/".Length..]}@{entry.Value.GetProperty("version").GetString()}"] = entry.Value.GetProperty("integrity").GetString()!;
            }
        }

        return locked;
    }
}

internal sealed partial class PnpmClient(string tool) : PackageClient(tool, "pnpm-lock.yaml")
{
    public override void Configure(ClientSandbox sandbox, Uri registry)
    {
        sandbox.WriteProject(".npmrc", $"""
            registry={registry}
            proxy={ClientSandbox.DeadProxy}
            https-proxy={ClientSandbox.DeadProxy}
            noproxy=127.0.0.1
            """);
        sandbox.WriteProject("pnpm-workspace.yaml", $"""
            storeDir: {sandbox.Cache}/pnpm-store
            cacheDir: {sandbox.Cache}/pnpm
            httpProxy: {ClientSandbox.DeadProxy}
            httpsProxy: {ClientSandbox.DeadProxy}
            noProxy: 127.0.0.1
            fetchRetries: 0
            """);
        sandbox.Environment["npm_config_userconfig"] = sandbox.Home + "/user-npmrc";
        sandbox.Environment["npm_config_globalconfig"] = sandbox.Home + "/global-npmrc";
    }

    public override IReadOnlyList<string> InstallArguments(bool isFrozen) => ["install", isFrozen ? "--frozen-lockfile" : "--no-frozen-lockfile"];

    public override IReadOnlyDictionary<string, string> ReadLock(string text) =>
        Entry().Matches(text).Where(entry => !entry.Groups["rest"].Value.Contains("os: [win32]", StringComparison.Ordinal)).ToDictionary(entry => entry.Groups["id"].Value, entry => entry.Groups["integrity"].Value, StringComparer.Ordinal);

    // packages:\n\n  '@scope/name@1.0.0':\n    resolution: {integrity: sha512-…}\n    os: [win32]\n
    [GeneratedRegex(@"^  '?(?<id>[^\s'][^\n']*@[^\n':]+)'?:\n    resolution: \{integrity: (?<integrity>[^,}]+)[^\n]*\n(?<rest>(    [^\n]*\n)*)", RegexOptions.Multiline)]
    private static partial Regex Entry();
}

internal sealed partial class YarnClient() : PackageClient("yarn", "yarn.lock")
{
    public override bool FetchesForeignPlatforms => true;

    public override void Configure(ClientSandbox sandbox, Uri registry)
    {
        sandbox.WriteProject(".yarnrc", $"""
            registry "{registry}"
            cache-folder "{sandbox.Cache}/yarn"
            https-proxy "{ClientSandbox.DeadProxy}"
            disable-self-update-check true
            """);
        sandbox.WriteProject(".npmrc", $"registry={registry}\n");
        sandbox.Environment["npm_config_userconfig"] = sandbox.Home + "/user-npmrc";
    }

    public override IReadOnlyList<string> InstallArguments(bool isFrozen) => ["install", "--non-interactive", "--ignore-engines", .. isFrozen ? ["--frozen-lockfile"] : Array.Empty<string>()];

    public override IReadOnlyDictionary<string, string> ReadLock(string text) =>
        Entry().Matches(text).ToDictionary(entry => $"{entry.Groups["name"].Value}@{entry.Groups["version"].Value}", entry => entry.Groups["integrity"].Value, StringComparer.Ordinal);

    [GeneratedRegex("""^"?(?<name>@?[^@\n"]+)@[^\n]*:\n  version "(?<version>[^"]+)"\n  resolved "[^"]+"\n  integrity (?<integrity>\S+)""", RegexOptions.Multiline)]
    private static partial Regex Entry();
}

internal sealed partial class BerryClient() : PackageClient("berry", "yarn.lock")
{
    public override void Configure(ClientSandbox sandbox, Uri registry)
    {
        // Network access is off but for the mirror: berry's own fence, besides the dead proxy.
        sandbox.WriteProject(".yarnrc.yml", $"""
            npmRegistryServer: "{registry.AbsoluteUri.TrimEnd('/')}"
            unsafeHttpWhitelist: ["127.0.0.1"]
            enableNetwork: false
            networkSettings:
              "127.0.0.1":
                enableNetwork: true
            httpsProxy: "{ClientSandbox.DeadProxy}"
            enableGlobalCache: false
            cacheFolder: "{sandbox.Cache}/berry"
            globalFolder: "{sandbox.Cache}/berry-global"
            nodeLinker: node-modules
            enableTelemetry: false
            enableImmutableInstalls: false
            httpRetry: 0
            """);
    }

    public override IReadOnlyList<string> InstallArguments(bool isFrozen) => ["install", .. isFrozen ? ["--immutable"] : Array.Empty<string>()];

    public override IReadOnlyDictionary<string, string> ReadLock(string text) =>
        Entry().Matches(text).Where(entry => !entry.Groups["id"].Value.Contains("win32", StringComparison.Ordinal)).ToDictionary(entry => entry.Groups["id"].Value.Replace("@npm:", "@", StringComparison.Ordinal), static _ => "", StringComparer.Ordinal);

    [GeneratedRegex("""^  resolution: "(?<id>[^"]+@npm:[^":]+)""", RegexOptions.Multiline)]
    private static partial Regex Entry();
}

internal sealed partial class BunClient() : PackageClient("bun", "bun.lock")
{
    public override void Configure(ClientSandbox sandbox, Uri registry)
    {
        sandbox.WriteProject("bunfig.toml", $"""
            telemetry = false
            [install]
            registry = "{registry}"
            [install.cache]
            dir = "{sandbox.Cache}/bun"
            """);
        sandbox.Environment["BUN_INSTALL"] = sandbox.Home + "/.bun";
    }

    public override IReadOnlyList<string> InstallArguments(bool isFrozen) => ["install", .. isFrozen ? ["--frozen-lockfile"] : Array.Empty<string>()];

    public override IReadOnlyDictionary<string, string> ReadLock(string text) =>
        Entry().Matches(text).Where(entry => !entry.Value.Contains("\"win32\"", StringComparison.Ordinal)).ToDictionary(entry => entry.Groups["id"].Value, entry => entry.Groups["integrity"].Value, StringComparer.Ordinal);

    // "name": ["name@1.0.0", "", { "os": "win32" }, "sha512-…"],
    [GeneratedRegex("""^\s+"[^"]+": \["(?<id>[^"]+@[^"]+)", .*"(?<integrity>sha\d+-[^"]+)"\]""", RegexOptions.Multiline)]
    private static partial Regex Entry();
}
