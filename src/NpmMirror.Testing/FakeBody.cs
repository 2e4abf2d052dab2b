using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <summary>A body ready to be sent: compressed once, with its validators.</summary>
internal sealed class FakeBody
{
    public const string FullType = "application/json";
    public const string AbbreviatedType = "application/vnd.npm.install-v1+json";

    // The members of a version that installers get to see; the registry drops everything else, `libc` too.
    private static readonly string[] AbbreviatedMembers =
    [
        "name", "version", "deprecated", "dependencies", "acceptDependencies", "optionalDependencies", "devDependencies", "bundleDependencies",
        "peerDependencies", "peerDependenciesMeta", "bin", "directories", "dist", "engines", "_hasShrinkwrap", "funding", "cpu", "os",
    ];

    private readonly Func<byte[]> _raw;

    private FakeBody(Func<byte[]> raw, bool isLazy, string contentType, DateTimeOffset? lastModified)
    {
        var bytes = raw();
        _raw = isLazy ? raw : () => bytes;
        ContentType = contentType;
        LastModified = lastModified;
        ETag = $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16))}\"";
        Gzip = Compress(bytes);
    }

    public string ContentType { get; }

    public string ETag { get; }

    public DateTimeOffset? LastModified { get; }

    public byte[] Gzip { get; }

    public byte[] Raw => _raw();

    public static FakeBody Render(FakeDocument document, FakeForm form)
    {
        if (document.IsLazy && !form.IsAbbreviated)
        {
            return new FakeBody(() => WithRevision(document, form, document.Json), isLazy: true, FullType, lastModified: null);
        }

        var packument = FakeJson.TryParse(document.Json);
        var modified = ModifiedOf(packument);
        if (packument is null || (!form.IsAbbreviated && (form.HasModified || modified is null)))
        {
            return new FakeBody(() => WithRevision(document, form, document.Json), document.IsLazy, FullType, modified);
        }

        if (form.IsAbbreviated)
        {
            return new FakeBody(() => FakeJson.Bytes(Abbreviate(packument, form)), isLazy: false, AbbreviatedType, modified);
        }

        (packument["time"] as JsonObject)?.Remove("modified");
        return new FakeBody(() => WithRevision(document, form, FakeJson.Bytes(packument)), isLazy: false, FullType, modified);
    }

    public static byte[] Compress(byte[] bytes, CompressionLevel level = CompressionLevel.Optimal)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, level))
        {
            gzip.Write(bytes);
        }

        return output.ToArray();
    }

    private static byte[] WithRevision(FakeDocument document, FakeForm form, byte[] json)
    {
        var brace = json.AsSpan().IndexOf((byte)'{');
        if (!form.HasRevision || document.HasOwnRevision || brace < 0)
        {
            return json;
        }

        // Spliced in rather than edited: everything else stays as it was, byte for byte.
        var isEmpty = json.AsSpan(brace + 1).TrimStart(" \t\r\n"u8).StartsWith("}"u8);
        var member = Encoding.UTF8.GetBytes($"\"_rev\":\"{document.Revision}\"{(isEmpty ? "" : ",")}");
        return [.. json.AsSpan(0, brace + 1), .. member, .. json.AsSpan(brace + 1)];
    }

    private static JsonObject Abbreviate(JsonObject packument, FakeForm form)
    {
        var abbreviated = new JsonObject { ["name"] = packument["name"]?.DeepClone() };
        if (form.HasModified && packument["time"]?["modified"] is { } modified)
        {
            abbreviated["modified"] = modified.DeepClone();
        }

        abbreviated["dist-tags"] = packument["dist-tags"]?.DeepClone() ?? new JsonObject();
        var versions = new JsonObject();
        foreach (var (version, manifest) in packument["versions"] as JsonObject ?? [])
        {
            versions[version] = manifest is JsonObject members ? Abbreviate(members) : manifest?.DeepClone();
        }

        abbreviated["versions"] = versions;
        return abbreviated;
    }

    private static JsonObject Abbreviate(JsonObject manifest)
    {
        var abbreviated = new JsonObject();
        foreach (var member in AbbreviatedMembers)
        {
            if (manifest.TryGetPropertyValue(member, out var value))
            {
                abbreviated[member] = value?.DeepClone();
            }
        }

        if (manifest["scripts"] is JsonObject scripts && (scripts.ContainsKey("preinstall") || scripts.ContainsKey("install") || scripts.ContainsKey("postinstall")))
        {
            abbreviated["hasInstallScript"] = true;
        }

        return abbreviated;
    }

    private static DateTimeOffset? ModifiedOf(JsonObject? packument) =>
        packument?["time"] is JsonObject time && time["modified"] is JsonValue value && value.TryGetValue<string>(out var text)
        && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var modified)
            ? modified
            : null;
}
