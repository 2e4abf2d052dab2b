using System.Globalization;
using NpmMirror.Storage;

namespace NpmMirror.Redis;

/// <summary>Where a mirror is in Redis, and how it is reached: from a location, from options, or from both where they do not speak of the same.</summary>
internal sealed record RedisAddress
{
    private const int DefaultPort = 6379;
    private const int DefaultSentinelPort = 26379;
    private const string PlainScheme = "redis://";
    private const string SecureScheme = "rediss://";

    /// <summary>The settings that <c>store.options.*</c> and the end of a location, after its <c>?</c>, may give.</summary>
    internal static readonly string[] OptionNames = ["host", "port", "db", "prefix", "user", "password", "tls", "ca", "layout", "replicas", "sentinel", "sentinelUser", "sentinelPassword"];

    /// <summary>Host and port of a server, or of some of a cluster's; where <see cref="Sentinel"/> is given, of the sentinels.</summary>
    internal required IReadOnlyList<(string Host, int Port)> Servers { get; init; }

    /// <summary>The user of an access list; null: the default user.</summary>
    internal string? User { get; init; }

    /// <summary>Never part of a message.</summary>
    internal string? Password { get; init; }

    /// <summary>The number of the database.</summary>
    internal int Database { get; init; }

    /// <summary>The beginning of all keys.</summary>
    internal string Prefix { get; init; } = "";

    /// <summary>Whether the connection is encrypted.</summary>
    internal bool IsSecure { get; init; }

    /// <summary>The certificate of the authority that signed the server's, where the system does not know it.</summary>
    internal string? AuthorityFile { get; init; }

    /// <summary>Whether packuments are stored as they come, compressed, where no other program reads them.</summary>
    internal bool IsCompact { get; init; }

    /// <summary>How many replicas must have a commit before it is acknowledged.</summary>
    internal int Replicas { get; init; }

    /// <summary>The name under which the sentinels know the master; null: the servers are no sentinels.</summary>
    internal string? Sentinel { get; init; }

    /// <summary>The user that the sentinels themselves want; null: the default user.</summary>
    internal string? SentinelUser { get; init; }

    /// <summary>The password that the sentinels themselves want. Never part of a message.</summary>
    internal string? SentinelPassword { get; init; }

    /// <summary>The address for messages, without user and password.</summary>
    internal string Location
    {
        get
        {
            var servers = string.Join(',', Servers.Select(server => string.Create(CultureInfo.InvariantCulture, $"{server.Host}:{server.Port}")));
            string[] shown = [.. Prefix.Length == 0 ? [] : (string[])[$"prefix={Prefix}"], .. Sentinel is null ? [] : (string[])[$"sentinel={Sentinel}"]];
            return string.Create(CultureInfo.InvariantCulture, $"{(IsSecure ? SecureScheme : PlainScheme)}{servers}/{Database}{(shown.Length == 0 ? "" : "?")}{string.Join('&', shown)}");
        }
    }

    /// <summary>Reads the settings.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: one is wrong.</exception>
    internal static RedisAddress Parse(StoreSettings settings)
    {
        var given = new Dictionary<string, string>(settings.Options, StringComparer.OrdinalIgnoreCase);
        var named = ReadLocation(settings.Address, given);
        var sentinel = given.GetValueOrDefault("sentinel");
        if (sentinel is "")
        {
            throw Wrong("sentinel", sentinel, "the name under which the sentinels know the master");
        }

        if (sentinel is null && (given.ContainsKey("sentinelUser") || given.ContainsKey("sentinelPassword")))
        {
            throw new MirrorException(MirrorFault.Configuration, "The store engine Redis has a user or a password for sentinels, and no sentinel; give the name under which they know the master.");
        }

        var port = sentinel is null ? DefaultPort : DefaultSentinelPort;
        List<(string Host, int Port)> servers = named.Length == 0
            ? [(given.GetValueOrDefault("host", "127.0.0.1"), ReadNumber(given, "port", port, 1, ushort.MaxValue))]
            : [.. named.Select(text => ReadServer(text, port))];

        var prefix = given.GetValueOrDefault("prefix", "");
        if (prefix.AsSpan().ContainsAny('{', '}'))
        {
            throw Wrong("prefix", prefix, "a text without { and }");
        }

        return new RedisAddress
        {
            Servers = servers,
            User = given.GetValueOrDefault("user"),
            Password = given.GetValueOrDefault("password"),
            Database = ReadNumber(given, "db", 0, 0, int.MaxValue),
            Prefix = prefix,
            IsSecure = ReadFlag(given, "tls"),
            AuthorityFile = given.GetValueOrDefault("ca"),
            IsCompact = given.GetValueOrDefault("layout", "classic") switch
            {
                "classic" => false,
                "compact" => true,
                var other => throw Wrong("layout", other, "classic or compact"),
            },
            Replicas = ReadNumber(given, "replicas", 0, 0, 100),
            Sentinel = sentinel,
            SentinelUser = given.GetValueOrDefault("sentinelUser"),
            SentinelPassword = given.GetValueOrDefault("sentinelPassword"),
        };
    }

    // redis[s]://user:password@host:port,host:port/db?name=value
    private static string[] ReadLocation(string? address, Dictionary<string, string> given)
    {
        if (address is null)
        {
            return [];
        }

        var isSecure = address.StartsWith(SecureScheme, StringComparison.OrdinalIgnoreCase);
        var rest = isSecure ? address[SecureScheme.Length..] : address.StartsWith(PlainScheme, StringComparison.OrdinalIgnoreCase) ? address[PlainScheme.Length..] : address;
        if (isSecure)
        {
            Give(given, "tls", "true");
        }

        // A password may have any character, as it was typed; what follows a question mark is never shown, so it may not be the password's.
        var asked = rest.IndexOf('?', StringComparison.Ordinal);
        if (asked >= 0 && rest.IndexOf('@', asked) >= 0)
        {
            throw new MirrorException(MirrorFault.Configuration, "The location of the store engine Redis has an @ after its question mark; write a question mark of the password as %3F, an @ of a setting as %40.");
        }

        var at = rest.LastIndexOf('@');
        var (credentials, place) = at < 0 ? ("", rest) : (rest[..at], rest[(at + 1)..]);
        var end = place.IndexOfAny(['/', '?']);
        var (authority, tail) = end < 0 ? (place, "") : (place[..end], place[end..]);
        var colon = credentials.IndexOf(':', StringComparison.Ordinal);
        var user = Uri.UnescapeDataString(colon < 0 ? credentials : credentials[..colon]);
        if (user.Length > 0)
        {
            Give(given, "user", user);
        }

        if (colon >= 0)
        {
            Give(given, "password", Uri.UnescapeDataString(credentials[(colon + 1)..]));
        }

        var servers = authority.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (servers.Length > 0 && (given.ContainsKey("host") || given.ContainsKey("port")))
        {
            throw Twice(given.ContainsKey("host") ? "host" : "port");
        }

        var query = tail.IndexOf('?', StringComparison.Ordinal);
        var database = (query < 0 ? tail : tail[..query]).Trim('/');
        if (database.Length > 0)
        {
            Give(given, "db", database);
        }

        foreach (var pair in query < 0 ? [] : tail[(query + 1)..].Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            var name = Uri.UnescapeDataString(equals < 0 ? pair : pair[..equals]);
            if (!OptionNames.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                throw new MirrorException(MirrorFault.Configuration, $"The location of the store engine Redis has {MirrorException.Quote(name)} after its question mark; it knows {string.Join(", ", OptionNames)}.");
            }

            Give(given, name, equals < 0 ? "" : Uri.UnescapeDataString(pair[(equals + 1)..]));
        }

        return servers;
    }

    // An IPv6 address is in brackets.
    private static (string Host, int Port) ReadServer(string text, int instead)
    {
        var colon = text.LastIndexOf(':');
        var hasPort = colon > text.LastIndexOf(']');
        var host = (hasPort ? text[..colon] : text).Trim('[', ']');
        if (host.Length == 0)
        {
            throw Wrong("host", text, "a host's name or address");
        }

        return (host, hasPort ? ReadNumber(new Dictionary<string, string> { ["port"] = text[(colon + 1)..] }, "port", instead, 1, ushort.MaxValue) : instead);
    }

    private static void Give(Dictionary<string, string> given, string name, string value)
    {
        if (!given.TryAdd(name, value))
        {
            throw Twice(name);
        }
    }

    private static int ReadNumber(Dictionary<string, string> given, string name, int instead, int min, int max)
    {
        if (!given.TryGetValue(name, out var text))
        {
            return instead;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max
            ? number
            : throw Wrong(name, text, string.Create(CultureInfo.InvariantCulture, $"a number from {min} to {max}"));
    }

    private static bool ReadFlag(Dictionary<string, string> given, string name) => given.GetValueOrDefault(name, "false").ToUpperInvariant() switch
    {
        "TRUE" => true,
        "FALSE" => false,
        _ => throw Wrong(name, given[name], "true or false"),
    };

    private static MirrorException Wrong(string name, string value, string right) =>
        new(MirrorFault.Configuration, $"The store engine Redis has the {name} {MirrorException.Quote(value)}; give {right}.");

    private static MirrorException Twice(string name) =>
        new(MirrorFault.Configuration, $"The location of the store engine Redis and store.options both give {name}; keep one.");
}
