using System.Text.Json;

namespace NpmMirror.Tests.Clients;

/// <summary>
/// A home, a cache and a project for one client, out of which nothing but 127.0.0.1 can be reached: every proxy setting there is points at
/// a port without a listener.
/// </summary>
public sealed class ClientSandbox : IDisposable
{
    /// <summary>A port without a listener.</summary>
    public const string DeadProxy = "http://127.0.0.1:9";

    private static readonly TimeSpan RunTimeout = TimeSpan.FromSeconds(240);
    private readonly TestFolder _folder = new();

    public ClientSandbox()
    {
        Environment = MirrorProcess.BaseEnvironment(Home);
        foreach (var name in new[] { "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY" })
        {
            Environment[name] = DeadProxy;
            Environment[name.ToLowerInvariant()] = DeadProxy;
        }

        Environment["NO_PROXY"] = Environment["no_proxy"] = "127.0.0.1";
        foreach (var (name, folder) in new[] { ("XDG_CACHE_HOME", "cache"), ("XDG_DATA_HOME", "share"), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config"), ("TMPDIR", "tmp") })
        {
            Environment[name] = _folder.Folder(folder);
        }
    }

    public Dictionary<string, string> Environment { get; }

    public string Home => _folder.Folder("home");

    public string Cache => _folder.Folder("cache");

    public string Project => _folder.Folder("project");

    public void WriteProject(string file, string text) => File.WriteAllText(_folder.File($"project/{file}"), text);

    public string ReadProject(string file) => File.ReadAllText(Path.Combine(Project, file));

    /// <summary>Writes the package.json of a project with these dependencies.</summary>
    public void WriteManifest(IReadOnlyDictionary<string, string> dependencies) =>
        WriteProject("package.json", JsonSerializer.Serialize(new { name = "project", version = "1.0.0", @private = true, dependencies }));

    /// <summary>The version of a package in the project's node_modules, or null.</summary>
    public string? Installed(string name)
    {
        var manifest = Path.Combine(Project, "node_modules", name, "package.json");
        return File.Exists(manifest) ? JsonDocument.Parse(File.ReadAllText(manifest)).RootElement.GetProperty("version").GetString() : null;
    }

    /// <summary>Makes the client cold again: no cache, no node_modules.</summary>
    public void Cool(bool keepsLock, string lockFile)
    {
        foreach (var folder in new[] { "home", "cache", "share", "state", "tmp", "project/node_modules", "project/.yarn" })
        {
            var path = Path.Combine(_folder.Path, folder);
            if (Directory.Exists(path))
            {
                Directory.Delete(path, recursive: true);
            }
        }

        foreach (var folder in new[] { "home", "cache", "share", "state", "tmp" })
        {
            _folder.Folder(folder);
        }

        if (!keepsLock)
        {
            File.Delete(Path.Combine(Project, lockFile));
        }
    }

    public Task<TestRun> RunAsync(IReadOnlyList<string> command, CancellationToken cancellationToken) =>
        TestProcess.RunAsync(command, Project, Environment, RunTimeout, cancellationToken);

    public void Dispose() => _folder.Dispose();
}
