using System.Globalization;
using System.Text;

namespace NpmMirror.AspNetCore.Routing;

/// <summary>
/// Reads request targets as they came over the wire. Never the decoded path: <c>%2f</c> inside a name and <c>/</c> between two
/// names are different things, and <c>..</c> is a segment like any other, which names nothing.
/// </summary>
/// <param name="mounts">The paths under which the registry is served: <c>/npm</c>, or <c>/</c>.</param>
internal sealed class RouteParser(IReadOnlyList<string> mounts)
{
    /// <summary>Longer paths than this name nothing: the longest package and version are far shorter.</summary>
    private const int PathMaxChars = 2048;

    private static readonly PackageName Dash = PackageName.Parse("-");
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly string[][] _mounts = [.. mounts.Select(mount => mount.Split('/', StringSplitOptions.RemoveEmptyEntries)).OrderByDescending(mount => mount.Length)];

    /// <summary>The route, and the mount that it is under (<c>""</c> for the root, null outside).</summary>
    internal RegistryRoute Parse(string target, out string? mount) => Parse(target, prefix: "", out mount);

    /// <summary>As the other one, for a target whose path begins with a prefix before the mounts.</summary>
    internal RegistryRoute Parse(string target, string prefix, out string? mount)
    {
        mount = null;
        var path = PathOf(target);
        if (path.Length > PathMaxChars)
        {
            return new RegistryRoute.Malformed(414, $"The path is {path.Length} characters long; the limit is {PathMaxChars}.");
        }

        if (!path.StartsWith('/'))
        {
            return new RegistryRoute.Malformed(400, "The request target is no path; ask for /name.");
        }

        var segments = new List<string>(6);
        foreach (var range in path.Split('/'))
        {
            // Empty segments are skipped: "//" counts as "/"; a base address with a trailing slash makes it.
            if (!path[range].IsEmpty)
            {
                if (Decode(path[range]) is not { } segment)
                {
                    return new RegistryRoute.Malformed(400, "The path is not valid: it has a percent sign, a control character or a backslash that is not allowed there.");
                }

                // No name, version or file is called so; the client means another place.
                if (segment is "." or "..")
                {
                    return new RegistryRoute.NotFound("Not found: a path here has no dot segments.");
                }

                segments.Add(segment);
            }
        }

        // A proxy may have taken the prefix away already.
        if (prefix.Length > 0 && prefix.Split('/', StringSplitOptions.RemoveEmptyEntries) is var before && IsUnder(segments, before))
        {
            segments.RemoveRange(0, before.Length);
        }

        foreach (var words in _mounts)
        {
            if (IsUnder(segments, words))
            {
                mount = words.Length == 0 ? "" : "/" + string.Join('/', words);
                return words.Length == 0 && segments is ["-"] && path.EndsWith('/') ? new RegistryRoute.PageOrDash(Dash) : InMount(segments[words.Length..], isRoot: words.Length == 0);
            }
        }

        return Outside(segments);
    }

    /// <summary>The path of a target, which may be a whole URL (absolute-form), without its query.</summary>
    internal static ReadOnlySpan<char> PathOf(ReadOnlySpan<char> target)
    {
        var end = target.IndexOfAny('?', '#');
        var path = end < 0 ? target : target[..end];
        if (path.StartsWith('/'))
        {
            return path;
        }

        var authority = path.IndexOf("://", StringComparison.Ordinal);
        if (authority < 0)
        {
            return path;
        }

        var slash = path[(authority + 3)..].IndexOf('/');
        return slash < 0 ? "/" : path[(authority + 3 + slash)..];
    }

    private static bool IsUnder(List<string> segments, string[] mount)
    {
        if (segments.Count < mount.Length)
        {
            return false;
        }

        for (var i = 0; i < mount.Length; i++)
        {
            if (!string.Equals(segments[i], mount[i], StringComparison.Ordinal))
            {
                return false;
            }
        }

        return true;
    }

    private static RegistryRoute Outside(List<string> segments) => segments switch
    {
        [] => new RegistryRoute.Home(),
        ["health", "live"] => new RegistryRoute.Live(),
        ["health", "ready"] => new RegistryRoute.Ready(),
        ["metrics"] => new RegistryRoute.Metrics(),
        ["api", "ping"] => new RegistryRoute.ApiPing(),
        _ => OfPage(segments) ?? new RegistryRoute.OutsideMount(),
    };

    /// <summary>A path of the page for people, or null.</summary>
    private static RegistryRoute? OfPage(List<string> segments) => segments switch
    {
        ["setup" or "packages"] or ["package", _, ..] or ["assets", _] or ["api", "mirrors" or "sse" or "events"] => new RegistryRoute.Page(segments),
        ["retry"] => new RegistryRoute.PageForm(segments),
        _ => null,
    };

    private static RegistryRoute InMount(List<string> segments, bool isRoot) => segments switch
    {
        [] => new RegistryRoute.Info(),
        ["_changes"] => new RegistryRoute.Changes(),
        ["_bulk_get"] => new RegistryRoute.BulkGet(),
        ["_all_docs"] => new RegistryRoute.AllDocs(),
        ["_changes" or "_all_docs" or "_bulk_get" or "_local", ..] => new RegistryRoute.NotFound("This mirror has no such CouchDB document."),
        ["-", .. var rest] when rest.Count > 0 => OwnWord(rest, isRoot),
        _ => OfPackage(segments),
    };

    private static RegistryRoute OfPackage(List<string> segments)
    {
        var at = 0;
        if (!TakeName(segments, ref at, out var package))
        {
            return new RegistryRoute.NotFound("Not found: the path holds no package name; ask for /name or /@scope/name.");
        }

        return segments[at..] switch
        {
            [] => new RegistryRoute.Packument(package),
            ["-", var file] => TarballOf(package, file),
            // Lockfiles written behind some other proxies repeat the scope.
            ["-", ['@', ..] scope, var file] when string.Equals(scope[1..], package.Scope, StringComparison.Ordinal) => TarballOf(package, file),
            ["-rev", ..] or ["-", _, "-rev", ..] => new RegistryRoute.Publishing(),
            ["-"] => new RegistryRoute.NotFound($"Not found: the path names no file of {package}."),
            [var version] when !version.Contains('/') => new RegistryRoute.Manifest(package, version),
            _ => new RegistryRoute.NotFound($"Not found: {package} has nothing at that path."),
        };
    }

    private static RegistryRoute TarballOf(PackageName package, string file)
    {
        // The scope repeated, and its slash encoded.
        var scope = package.Scope is { } name ? $"@{name}/" : null;
        var bare = scope is not null && file.StartsWith(scope, StringComparison.Ordinal) ? file[scope.Length..] : file;
        return bare.Contains('/')
            ? new RegistryRoute.NotFound($"Not found: a file of {package} has no slash in its name.")
            : new RegistryRoute.Tarball(package, bare);
    }

    /// <summary>Everything of ours below <c>/-/</c>. A word of ours wins over a version of the package called <c>-</c>.</summary>
    private static RegistryRoute OwnWord(List<string> words, bool isRoot) => words switch
    {
        ["ping"] => new RegistryRoute.Ping(),
        ["all"] => new RegistryRoute.All(),
        ["whoami"] or ["npm", "v1", "user" or "tokens"] => new RegistryRoute.Account(),
        ["events"] => new RegistryRoute.Events(),
        ["log", "head"] => new RegistryRoute.LogHead(),
        ["log", var position] when long.TryParse(position, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 => new RegistryRoute.LogAt(number),
        ["v1", "search"] => new RegistryRoute.Search(),
        ["package", .. var rest] => OfTags(rest) is var route && isRoot && route is RegistryRoute.Publishing && rest is not [.., "dist-tags", _] ? new RegistryRoute.Page(words) : route,
        ["npm", "v1", "keys"] => new RegistryRoute.Keys(),
        ["npm", "v1", "attestations", .. var rest] => OfAttestations(rest),
        ["npm", "v1", "security", "advisories", "bulk"] => new RegistryRoute.Advisories(),
        ["npm", "v1", "security", "audits"] or ["npm", "v1", "security", "audits", "quick"] => new RegistryRoute.RetiredAudit(),
        ["api", "ping"] when isRoot => new RegistryRoute.ApiPing(),
        ["health", "live"] when isRoot => new RegistryRoute.Live(),
        ["health", "ready"] when isRoot => new RegistryRoute.Ready(),
        ["metrics"] when isRoot => new RegistryRoute.Metrics(),
        _ when isRoot && OfPage(words) is { } page => page,
        ["v1", "login"] => new RegistryRoute.Login(),
        ["user" or "org" or "team" or "stage", ..] => new RegistryRoute.Publishing(),
        ["v1" or "npm" or "log" or "at" or "snapshot" or "events" or "api" or "health" or "metrics" or "rss" or "_view", ..]
            => new RegistryRoute.NotFound($"Not found: this mirror serves nothing at /-/{string.Join('/', words)}."),
        // The rest is the package called "-".
        _ => OfPackage(["-", .. words]),
    };

    private static RegistryRoute OfTags(List<string> rest)
    {
        var at = 0;
        if (!TakeName(rest, ref at, out var package))
        {
            return new RegistryRoute.NotFound("Not found: the path holds no package name.");
        }

        return rest[at..] switch
        {
            ["dist-tags"] => new RegistryRoute.DistTags(package),
            _ => new RegistryRoute.Publishing(),
        };
    }

    private static RegistryRoute OfAttestations(List<string> rest)
    {
        var text = string.Join('/', rest);
        var at = text.LastIndexOf('@');
        return at > 0 && PackageName.TryParse(text[..at], out var package) && text[(at + 1)..] is { Length: > 0 } version && !version.Contains('/')
            ? new RegistryRoute.Attestations(package, version)
            : new RegistryRoute.NotFound("Not found: ask for /-/npm/v1/attestations/name@version.");
    }

    /// <summary>A name is one segment (<c>express</c>, <c>@types%2fnode</c>) or two (<c>@types/node</c>).</summary>
    private static bool TakeName(List<string> segments, ref int at, out PackageName name)
    {
        name = default;
        if (at >= segments.Count)
        {
            return false;
        }

        var text = segments[at++];
        if (text.StartsWith('@') && !text.Contains('/'))
        {
            if (at >= segments.Count || segments[at].Contains('/'))
            {
                return false;
            }

            text = $"{text}/{segments[at++]}";
        }

        return PackageName.TryParse(text, out name);
    }

    /// <summary>One segment without its percent signs, or null if it is no text of a path.</summary>
    private static string? Decode(ReadOnlySpan<char> raw)
    {
        Span<byte> bytes = raw.Length <= 256 ? stackalloc byte[raw.Length] : new byte[raw.Length];
        var length = 0;
        for (var i = 0; i < raw.Length; i++)
        {
            int value = raw[i];
            if (value == '%')
            {
                if (i + 2 >= raw.Length || !char.IsAsciiHexDigit(raw[i + 1]) || !char.IsAsciiHexDigit(raw[i + 2]))
                {
                    return null;
                }

                value = (HexValue(raw[i + 1]) << 4) | HexValue(raw[i + 2]);
                i += 2;
                bytes[length++] = (byte)value;
            }
            else if (value > 0x7e)
            {
                return null;
            }
            else
            {
                bytes[length++] = (byte)value;
            }

            if (value is < ' ' or 0x7f or '\\')
            {
                return null;
            }
        }

        try
        {
            return StrictUtf8.GetString(bytes[..length]);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    private static int HexValue(char digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}
