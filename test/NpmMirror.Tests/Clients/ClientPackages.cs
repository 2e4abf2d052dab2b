using System.Text.Json.Nodes;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Clients;

/// <summary>The packages that the clients install: scoped, prerelease, for a platform, deprecated, and one from before sha512.</summary>
internal static class ClientPackages
{
    /// <summary>The dependencies of the project that every client installs.</summary>
    public static IReadOnlyDictionary<string, string> Dependencies { get; } = new Dictionary<string, string>
    {
        ["@scope/tool"] = "^1.0.0",
        ["plain"] = "^1.0.0",
        ["early"] = "2.0.0-beta.1",
        ["retired"] = "^1.0.0",
        ["ancient"] = "0.1.0",
    };

    /// <summary>Those installed on this machine, as name@version.</summary>
    public static IReadOnlyList<string> ForThisMachine { get; } = ["@scope/native-linux@1.0.0", "@scope/tool@1.2.0", "ancient@0.1.0", "early@2.0.0-beta.1", "plain@1.1.0", "retired@1.0.0"];

    /// <summary>The one for another machine, as name@version.</summary>
    public const string Foreign = "@scope/native-win32@1.0.0";

    public static void PublishTo(FakeRegistry registry)
    {
        registry.Publish(new FakePackage("@scope/tool") { Readme = "# The tool\n\nHow to use it." }.Version("1.0.0").Version("1.2.0", version =>
        {
            version.Dependencies["plain"] = "^1.0.0";
            version.OptionalDependencies["@scope/native-linux"] = "1.0.0";
            version.OptionalDependencies["@scope/native-win32"] = "1.0.0";
            version.Bin["tool"] = "cli.js";
            version.HasAttestations = true;
        }));
        registry.Publish(new FakePackage("@scope/native-linux").Version("1.0.0", version => version.Os.Add("linux")));
        registry.Publish(new FakePackage("@scope/native-win32").Version("1.0.0", version => version.Os.Add("win32")));
        registry.Publish(new FakePackage("plain").Version("1.0.0").Version("1.1.0").Version("2.0.0").Tag("latest", "2.0.0").Tag("next", "2.0.0"));
        registry.Publish(new FakePackage("early").Version("1.0.0").Version("2.0.0-beta.1").Tag("beta", "2.0.0-beta.1"));
        registry.Publish(new FakePackage("retired").Version("1.0.0", version => version.Deprecated = "retired is retired; use plain"));
        registry.Publish(new FakePackage("ancient").Version("0.1.0", version => version.HasIntegrity = false));
    }

    /// <summary>The upstream's promise of a version: its integrity, or its sha1 written as one.</summary>
    public static string Promised(FakeRegistry registry, string id)
    {
        var at = id.LastIndexOf('@');
        var dist = JsonNode.Parse(registry.Packument(id[..at])!)!["versions"]![id[(at + 1)..]]!["dist"]!;
        return (string?)dist["integrity"] ?? "sha1-" + Convert.ToBase64String(Convert.FromHexString((string)dist["shasum"]!));
    }

    /// <summary>The path of a version's tarball, below the mount.</summary>
    public static string TarballPath(string id)
    {
        var at = id.LastIndexOf('@');
        var name = id[..at];
        return $"/{name}/-/{name[(name.IndexOf('/', StringComparison.Ordinal) + 1)..]}-{id[(at + 1)..]}.tgz";
    }
}
