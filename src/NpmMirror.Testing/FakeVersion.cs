using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <summary>One version of a <see cref="FakePackage"/>: the publisher's members and the registry's. Change the members before it is published.</summary>
public sealed class FakeVersion
{
    internal FakeVersion(string version, DateTimeOffset publishedAt)
    {
        Version = version;
        PublishedAt = publishedAt;
    }

    /// <summary>The version's number.</summary>
    public string Version { get; }

    /// <summary>Its entry in <c>time</c>.</summary>
    public DateTimeOffset PublishedAt { get; set; }

    /// <summary>Name → range.</summary>
    public IDictionary<string, string> Dependencies { get; } = NewMap();

    /// <summary>Name → range of packages that may fail to install.</summary>
    public IDictionary<string, string> OptionalDependencies { get; } = NewMap();

    /// <summary>Name → range of packages that the user provides.</summary>
    public IDictionary<string, string> PeerDependencies { get; } = NewMap();

    /// <summary>Name → range of packages that its developers use.</summary>
    public IDictionary<string, string> DevDependencies { get; } = NewMap();

    /// <summary>Scripts by name.</summary>
    public IDictionary<string, string> Scripts { get; } = NewMap();

    /// <summary>Command → file. The file is made when <see cref="Files"/> has none.</summary>
    public IDictionary<string, string> Bin { get; } = NewMap();

    /// <summary>The files besides package.json; an <c>index.js</c> is made when there is none.</summary>
    public IDictionary<string, string> Files { get; } = NewMap();

    /// <summary>Operating systems it is for.</summary>
    public IList<string> Os { get; } = [];

    /// <summary>Processors it is for.</summary>
    public IList<string> Cpu { get; } = [];

    /// <summary>C libraries it is for.</summary>
    public IList<string> Libc { get; } = [];

    /// <summary>The deprecation message, or null.</summary>
    public string? Deprecated { get; set; }

    /// <summary>False: a version from before 2017, with only a sha1 <c>shasum</c>.</summary>
    public bool HasIntegrity { get; set; } = true;

    /// <summary>False together with <see cref="HasIntegrity"/>: a version that no hash is promised for.</summary>
    public bool HasShasum { get; set; } = true;

    /// <summary>Whether the registry signed it.</summary>
    public bool HasSignature { get; set; } = true;

    /// <summary>Whether it was published with provenance.</summary>
    public bool HasAttestations { get; set; }

    /// <summary>The publisher.</summary>
    public string Publisher { get; set; } = "alice";

    /// <summary>That many bytes that do not compress are added to the tarball.</summary>
    public int PaddingBytes { get; set; }

    /// <summary>The value of <c>dist.tarball</c>, if it is not the registry's own address.</summary>
    public string? TarballUrl { get; set; }

    /// <summary>Members merged into the manifest as they are, odd types included.</summary>
    public JsonObject Extra { get; } = [];

    internal BuiltVersion Build(FakePackage package, Uri baseUrl, FakeSigningKey? key)
    {
        var manifest = PublishedManifest(package);
        var tarball = FakeTarball.Create(TarballFiles(package, manifest));
        var path = $"/{package.Name}/-/{package.BareName}-{Version}.tgz";
        // The registry promises sha512 to clients of today and sha1 to those of 2012.
        var integrity = "sha512-" + Convert.ToBase64String(SHA512.HashData(tarball));
        var dist = new JsonObject();
        if (HasIntegrity)
        {
            dist["integrity"] = integrity;
        }

#pragma warning disable CA5350 // A registry tells sha1 too, and only that of its oldest versions.
        if (HasShasum)
        {
            dist["shasum"] = Convert.ToHexStringLower(SHA1.HashData(tarball));
        }
#pragma warning restore CA5350
        dist["tarball"] = TarballUrl ?? new Uri(baseUrl, path).AbsoluteUri;
        dist["fileCount"] = 1 + Files.Count;
        dist["unpackedSize"] = tarball.Length;
        if (HasAttestations)
        {
            dist["attestations"] = new JsonObject
            {
                ["url"] = new Uri(baseUrl, $"/-/npm/v1/attestations/{package.UrlName}@{Version}").AbsoluteUri,
                ["provenance"] = new JsonObject { ["predicateType"] = "https://slsa.dev/provenance/v1" },
            };
        }

        if (key is not null && HasSignature && HasIntegrity)
        {
            dist["signatures"] = new JsonArray(new JsonObject { ["keyid"] = key.KeyId, ["sig"] = key.Sign(package.Name, Version, integrity) });
        }

        manifest["_id"] = $"{package.Name}@{Version}";
        manifest["_nodeVersion"] = "20.20.2";
        manifest["_npmVersion"] = "11.19.1";
        manifest["_npmUser"] = FakePackage.Person(Publisher);
        manifest["dist"] = dist;
        manifest["maintainers"] = package.MaintainersJson();
        if (Deprecated is not null)
        {
            manifest["deprecated"] = Deprecated;
        }

        return new BuiltVersion(Version, PublishedAt, manifest, path, tarball, HasAttestations ? Attestations(package, integrity) : null);
    }

    private JsonObject PublishedManifest(FakePackage package)
    {
        var manifest = new JsonObject
        {
            ["name"] = package.Name,
            ["version"] = Version,
            ["description"] = package.Description,
            ["license"] = package.License,
            ["main"] = "index.js",
        };
        foreach (var (member, map) in new[] { ("scripts", Scripts), ("bin", Bin), ("dependencies", Dependencies), ("devDependencies", DevDependencies), ("optionalDependencies", OptionalDependencies), ("peerDependencies", PeerDependencies) })
        {
            if (map.Count > 0)
            {
                manifest[member] = FakeJson.Map(map);
            }
        }

        foreach (var (member, list) in new[] { ("os", Os), ("cpu", Cpu), ("libc", Libc) })
        {
            if (list.Count > 0)
            {
                manifest[member] = FakeJson.List(list);
            }
        }

        foreach (var (member, value) in Extra)
        {
            manifest[member] = value?.DeepClone();
        }

        return manifest;
    }

    private Dictionary<string, byte[]> TarballFiles(FakePackage package, JsonObject manifest)
    {
        var files = new Dictionary<string, byte[]>(StringComparer.Ordinal) { ["package.json"] = FakeJson.Bytes(manifest) };
        files["index.js"] = Encoding.UTF8.GetBytes($"module.exports = '{package.Name}@{Version}'\n");
        foreach (var file in Bin.Values)
        {
            files[file] = Encoding.UTF8.GetBytes($"#!/usr/bin/env node\nconsole.log('{package.Name}@{Version}')\n");
        }

        if (package.Readme is { } readme)
        {
            files["README.md"] = Encoding.UTF8.GetBytes(readme);
        }

        foreach (var (path, text) in Files)
        {
            files[path] = Encoding.UTF8.GetBytes(text);
        }

        if (PaddingBytes > 0)
        {
            var padding = new byte[PaddingBytes];
            new Random(PaddingBytes).NextBytes(padding);
            files["padding.bin"] = padding;
        }

        return files;
    }

    private JsonObject Attestations(FakePackage package, string integrity)
    {
        var statement = new JsonObject
        {
            ["_type"] = "https://in-toto.io/Statement/v1",
            ["subject"] = new JsonArray(new JsonObject { ["name"] = $"pkg:npm/{package.UrlName}@{Version}", ["digest"] = new JsonObject { ["sha512"] = Convert.ToHexStringLower(Convert.FromBase64String(integrity["sha512-".Length..])) } }),
            ["predicateType"] = "https://slsa.dev/provenance/v1",
            ["predicate"] = new JsonObject(),
        };
        var bundle = new JsonObject
        {
            ["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2",
            ["dsseEnvelope"] = new JsonObject { ["payload"] = Convert.ToBase64String(FakeJson.Bytes(statement)), ["payloadType"] = "application/vnd.in-toto+json", ["signatures"] = new JsonArray() },
            ["verificationMaterial"] = new JsonObject(),
        };
        return new JsonObject { ["attestations"] = new JsonArray(new JsonObject { ["predicateType"] = "https://slsa.dev/provenance/v1", ["bundle"] = bundle }) };
    }

    private static SortedDictionary<string, string> NewMap() => new(StringComparer.Ordinal);
}

/// <summary>A version as the registry keeps it.</summary>
internal sealed record BuiltVersion(string Version, DateTimeOffset PublishedAt, JsonObject Manifest, string TarballPath, byte[] Tarball, JsonObject? Attestations);
