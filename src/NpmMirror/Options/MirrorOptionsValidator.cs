using System.Net;
using Microsoft.Extensions.Options;

namespace NpmMirror.Options;

/// <summary>Finds every fault of the options at once; each message names the option, the fault and a right value.</summary>
internal sealed class MirrorOptionsValidator : IValidateOptions<MirrorOptions>
{
    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, MirrorOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var faults = FindFaults(options).ToList();
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    /// <summary>Every fault, one sentence each; empty when the options can be used.</summary>
    public static IEnumerable<string> FindFaults(MirrorOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return [.. OptionDefinition.All.SelectMany(option => Bounds(option, options)), .. Addresses(options), .. Hosts(options), .. Contradictions(options)];
    }

    private static IEnumerable<string> Bounds(OptionDefinition option, MirrorOptions options)
    {
        var value = option.Get(options);
        if (option.IsRequired && string.IsNullOrWhiteSpace(value as string))
        {
            yield return $"{option.Name} is empty; give {OptionValue.Describe(option)}.";
        }

        if (value is not null && option.Range is var (least, most) && (least.CompareTo(value) > 0 || most.CompareTo(value) < 0))
        {
            yield return $"{option.Name} is {OptionValue.Format(option, value)}, which is out of range; give {OptionValue.Describe(option)}.";
        }
    }

    private static IEnumerable<string> Addresses(MirrorOptions options)
    {
        if (options.Upstream is { } upstream && !IsWebAddress(upstream))
        {
            yield return $"upstream is {MirrorException.Quote(Masked.Address(upstream))}, which is no web address; give the registry's, such as https://registry.example.org/.";
        }

        if (options.Feed is not ("auto" or "none" or "") && !IsWebAddress(options.Feed))
        {
            yield return $"feed is {MirrorException.Quote(Masked.Address(options.Feed))}; give auto, none or the feed's web address, such as https://couch.example.org/registry.";
        }

        if (options.PublicUrl is { } publicUrl && (!IsWebAddress(publicUrl) || new Uri(publicUrl) is not { Query: "", Fragment: "", UserInfo: "" }))
        {
            yield return $"publicUrl is {MirrorException.Quote(Masked.Address(publicUrl))}; give the address that clients use, mount included, such as https://npm.example.org/npm.";
        }

        if (!string.IsNullOrWhiteSpace(options.Listen) && ListenFault(options.Listen) is { } listenFault)
        {
            yield return $"listen is {MirrorException.Quote(options.Listen)}: {listenFault}";
        }

        var mount = options.Mount;
        if (!string.IsNullOrWhiteSpace(mount) && (mount[0] != '/' || (mount.Length > 1 && (mount.EndsWith('/') || mount[1..].Split('/').Any(segment => !IsMountSegment(segment))))))
        {
            yield return $"mount is {MirrorException.Quote(mount)}; give a path such as /npm, or / alone: it begins with a slash, does not end with one, and its parts are letters, digits, dots and dashes.";
        }

        if (!string.IsNullOrWhiteSpace(options.Data) && File.Exists(options.Data))
        {
            yield return $"data is {MirrorException.Quote(options.Data)}, which is a file; give a folder.";
        }
    }

    private static IEnumerable<string> Hosts(MirrorOptions options)
    {
        foreach (var (name, host) in options.AllowedHosts.Select(host => ("allowedHosts", host)).Concat(options.TarballHosts.Select(host => ("tarballHosts", host))))
        {
            if (!Uri.TryCreate($"http://{host}/", UriKind.Absolute, out var address) || !string.Equals(address.Authority, host, StringComparison.OrdinalIgnoreCase))
            {
                yield return $"{name} has {MirrorException.Quote(host)}; give a host name, with a port where it is not the usual one: npm.example.org or npm.example.org:8080.";
            }
        }

        foreach (var proxy in options.TrustedProxies.Where(proxy => !IPAddress.TryParse(proxy, out _) && !IPNetwork.TryParse(proxy, out _)))
        {
            yield return $"trustedProxies has {MirrorException.Quote(proxy)}; give an IP address or a network such as 10.0.0.0/8.";
        }
    }

    private static IEnumerable<string> Contradictions(MirrorOptions options)
    {
        if (options.Store is { Engine: not null, Module: not null })
        {
            yield return "store.engine and store.module are both given; give the engine that is built in, or the module that brings its own.";
        }

        var isListed = options.Metadata is MetadataMode.Listed or MetadataMode.ListedUsed;
        if (isListed && options.List.Count == 0)
        {
            yield return $"metadata is {(options.Metadata == MetadataMode.Listed ? "listed" : "listed+used")}, but list is empty; name packages with list, or take metadata=used.";
        }
        else if (!isListed && options.List.Count > 0)
        {
            yield return "list is given, but metadata does not ask for it; add metadata=listed (or listed+used), or leave list out.";
        }

        foreach (var pattern in options.List.Where(pattern => !PackageName.TryParse(pattern.Replace('*', 'x').Replace('?', 'x'), out _)))
        {
            if (!pattern.StartsWith('@') || pattern.Contains('*', StringComparison.Ordinal))
            {
                yield return $"list has {MirrorException.Quote(pattern)}, which is no package name; write names as npm does (express, @types/node), * and ? stand for any letters.";
            }
            else if (!File.Exists(pattern[1..]))
            {
                yield return $"list has {MirrorException.Quote(pattern)}, but there is no file {MirrorException.Quote(pattern[1..])}; give a file with one name or glob a line.";
            }
        }

        if (options.LastSeq is { } sequence && (sequence.Length is 0 or > 4096 || sequence.Any(char.IsControl) || (sequence[0] == '-' && sequence.AsSpan(1).IndexOfAnyExceptInRange('0', '9') < 0)))
        {
            yield return "last_seq is not a sequence; give one as the feed wrote it, 0 for everything or now for the head.";
        }

        if (options.Revalidate is not null && (IsWebAddress(options.Feed) || options.Couch.Host is not null))
        {
            yield return "revalidate is given together with a feed; the feed tells what changed: leave one of them out.";
        }

        foreach (var fault in CouchFaults(options))
        {
            yield return fault;
        }
    }

    private static IEnumerable<string> CouchFaults(MirrorOptions options)
    {
        var couch = options.Couch;
        if (couch.Host is null)
        {
            if (couch.Port is not null || couch.Db is not null)
            {
                yield return "couch.host is missing; couch.port and couch.db need it.";
            }

            yield break;
        }

        if (couch.ToAddress() is not { } feed || !IsWebAddress(feed))
        {
            yield return $"couch.host is {MirrorException.Quote(Masked.Address(couch.Host))}; give a host such as couch.example.org, with its scheme where it is not http.";
        }
        else if (options.Feed is not ("auto" or "") && options.Feed != feed)
        {
            yield return "feed and couch.host are both given; leave one of them out.";
        }
    }

    private static bool IsWebAddress(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && (address.Scheme == Uri.UriSchemeHttp || address.Scheme == Uri.UriSchemeHttps) && address.Host.Length > 0;

    private static string? ListenFault(string listen)
    {
        if (listen.StartsWith("https:", StringComparison.OrdinalIgnoreCase))
        {
            return "npm-mirror speaks plain HTTP; listen on http:// and let a reverse proxy end TLS.";
        }

        // Kestrel's wildcards are no host names to Uri.
        var text = listen.Replace("://*", "://0.0.0.0", StringComparison.Ordinal).Replace("://+", "://0.0.0.0", StringComparison.Ordinal);
        if (!Uri.TryCreate(text, UriKind.Absolute, out var address) || address is not { Scheme: "http", AbsolutePath: "/", Query: "", Fragment: "", UserInfo: "" })
        {
            return "give an address and a port, such as http://127.0.0.1:4873 or http://0.0.0.0:4873.";
        }

        if (address is { Host: "localhost", Port: 0 })
        {
            return "a free port cannot be the same one on both addresses of localhost; take http://127.0.0.1:0.";
        }

        return IPAddress.TryParse(address.DnsSafeHost, out _) || address.Host == "localhost"
            ? null
            : "give localhost or an address of this machine, such as http://0.0.0.0:4873 for all of them; the name that clients use belongs into publicUrl or allowedHosts.";
    }

    private static bool IsMountSegment(string segment) =>
        segment.Length > 0 && segment is not ("." or ".." or "-") && segment.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');
}
