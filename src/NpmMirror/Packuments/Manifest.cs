using System.Security.Cryptography;

namespace NpmMirror.Packuments;

/// <summary>A manifest's promise of the bytes of a tarball.</summary>
/// <param name="Integrity"><c>dist.integrity</c> (SRI; may hold several hashes), or null.</param>
/// <param name="Shasum"><c>dist.shasum</c> (hex SHA-1), or null.</param>
public sealed record TarballPromise(string? Integrity, string? Shasum)
{
    /// <summary>The SHA-512 that right bytes have; empty if none is promised, or several are.</summary>
    public Digest Sha512
    {
        get
        {
            const string Prefix = "sha512-";
            Span<byte> bytes = stackalloc byte[SHA512.HashSizeInBytes];
            return Integrity is not null
                && Integrity.StartsWith(Prefix, StringComparison.Ordinal)
                && Convert.TryFromBase64String(Integrity[Prefix.Length..], bytes, out var written)
                && written == bytes.Length
                ? new Digest(bytes)
                : default;
        }
    }
}

/// <summary>Values read from a manifest's slice when they are needed.</summary>
public static class Manifest
{
    /// <summary>The text of <c>dist.tarball</c>, or null.</summary>
    public static string? TarballUrl(VersionEntry version, ReadOnlySpan<byte> document) => JsonText.ReadWord(version.TarballUrl.Of(document));

    /// <summary>The text of <c>dist.attestations.url</c>, or null.</summary>
    public static string? AttestationsUrl(VersionEntry version, ReadOnlySpan<byte> document) => JsonText.ReadWord(version.AttestationsUrl.Of(document));

    /// <summary>Whether installing it runs a script of its own.</summary>
    public static bool HasInstallScript(VersionEntry version, ReadOnlySpan<byte> document) =>
        HasInstallScript(document, JsonMembers.Find(document, version.Manifest, "scripts"u8), JsonMembers.Find(document, version.Manifest, "hasInstallScript"u8));

    /// <summary>Whether the registry has a statement of where and how it was built.</summary>
    public static bool HasProvenance(VersionEntry version, ReadOnlySpan<byte> document) =>
        !version.AttestationsUrl.IsEmpty
        && JsonMembers.Find(document, JsonMembers.Find(document, JsonMembers.Find(document, version.Manifest, "dist"u8), "attestations"u8), "provenance"u8) is { IsEmpty: false } provenance
        && document[provenance.Offset] == '{';

    /// <summary>Why it is deprecated; null if it is not. Values other than texts count as their JSON, except <c>false</c> and <c>null</c>.</summary>
    public static string? Deprecation(VersionEntry version, ReadOnlySpan<byte> document) => Deprecation(JsonMembers.Find(document, version.Manifest, "deprecated"u8).Of(document));

    /// <summary>The same of the member's value.</summary>
    internal static string? Deprecation(ReadOnlySpan<byte> value) =>
        value.IsEmpty || value.SequenceEqual("\"\""u8) || value.SequenceEqual("false"u8) || value.SequenceEqual("null"u8) ? null
        : JsonText.ReadWord(value) ?? System.Text.Encoding.UTF8.GetString(value[..Math.Min(value.Length, JsonText.WordSizeMaxBytes)]);

    // The scripts themselves count more than the publisher's declaration; without scripts (the upstream may itself be abbreviated) the declaration counts.
    internal static bool HasInstallScript(ReadOnlySpan<byte> document, Slice scripts, Slice declared) => scripts.IsEmpty
        ? !declared.IsEmpty && document[declared.Offset] == 't'
        : HasInstallScript(document, scripts);

    private static bool HasInstallScript(ReadOnlySpan<byte> document, Slice scripts)
    {
        bool before = false, install = false, after = false;
        var members = new JsonMemberReader(document, scripts);
        while (members.MoveNext())
        {
            // In any escaping; of equal names the last one counts.
            switch (JsonText.Decode(members.Name))
            {
                case "preinstall": before = IsScript(document, members.Value); break;
                case "install": install = IsScript(document, members.Value); break;
                case "postinstall": after = IsScript(document, members.Value); break;
            }
        }

        return before || install || after;
    }

    private static bool IsScript(ReadOnlySpan<byte> document, Slice value) => value.Length > 2 && document[value.Offset] == '"';

    /// <summary>The promise of <c>dist</c> about the tarball's bytes.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.UpstreamMalformed"/>: a promise is longer than any can be.</exception>
    public static TarballPromise Promise(VersionEntry version, ReadOnlySpan<byte> document)
    {
        var dist = JsonMembers.Find(document, version.Manifest, "dist"u8);
        return new TarballPromise(
            PromiseOf(version, JsonMembers.Find(document, dist, "integrity"u8).Of(document)),
            PromiseOf(version, JsonMembers.Find(document, dist, "shasum"u8).Of(document)));
    }

    private static string? PromiseOf(VersionEntry version, ReadOnlySpan<byte> value)
    {
        // Not to be taken as no promise: then the tarball would not be checked.
        if (value.Length > JsonText.WordSizeMaxBytes && value[0] == '"')
        {
            throw new MirrorException(MirrorFault.UpstreamMalformed, $"The integrity of version {MirrorException.Quote(version.Version)} is {value.Length:N0} bytes long; its tarball cannot be checked.");
        }

        return JsonText.ReadWord(value);
    }
}
