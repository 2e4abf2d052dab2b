using System.Buffers;
using System.Globalization;
using MongoDB.Driver;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>Where a mirror is in MongoDB, and how it is reached: from a URL, from options, or from both where they do not speak of the same.</summary>
internal sealed record MongoAddress
{
    private const string PlainScheme = "mongodb://";
    private const string SeedScheme = "mongodb+srv://";
    private const string DefaultDatabase = "npm-mirror";
    private const string DefaultCollection = "modules";
    private static readonly SearchValues<char> NotInNames = SearchValues.Create("/\\. \"$*<>:|?\0");

    /// <summary>The settings that <c>store.options.*</c> may give.</summary>
    internal static readonly string[] OptionNames = ["host", "port", "db", "collection", "user", "password", "tls", "ca"];

    // Those of a URL that the driver knows and that do not change how durable or how true an answer is.
    private static readonly string[] UrlNames =
    [
        "authSource", "authMechanism", "replicaSet", "tls", "ssl", "tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames", "directConnection", "loadBalanced", "appName", "compressors",
        "connectTimeoutMS", "socketTimeoutMS", "serverSelectionTimeoutMS", "heartbeatFrequencyMS", "maxPoolSize", "minPoolSize", "maxIdleTimeMS", "waitQueueTimeoutMS", "retryWrites", "retryReads", "w", "wtimeoutMS", "journal",
        "srvServiceName", "srvMaxHosts", "localThresholdMS", "maxConnecting", "serverMonitoringMode",
    ];

    /// <summary>The driver's own settings, the password among them.</summary>
    internal required MongoClientSettings Settings { get; init; }

    internal required string Database { get; init; }

    /// <summary>The collection of the tool of 2012.</summary>
    internal required string EarlierCollection { get; init; }

    /// <summary>The certificate of the authority that signed the server's, where the system does not know it.</summary>
    internal string? AuthorityFile { get; init; }

    /// <summary>Whether the user gave a password: only for messages.</summary>
    internal bool HasCredentials => Settings.Credential is not null;

    /// <summary>The address for messages, without user and password.</summary>
    internal required string Location { get; init; }

    /// <summary>Reads the settings.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: one is wrong.</exception>
    internal static MongoAddress Parse(StoreSettings settings)
    {
        var given = new Dictionary<string, string>(settings.Options, StringComparer.OrdinalIgnoreCase);
        var url = ReadUrl(settings.Address, given);
        var database = given.GetValueOrDefault("db") ?? url.DatabaseName ?? DefaultDatabase;
        if (database.Length is 0 or > 63 || database.AsSpan().ContainsAny(NotInNames))
        {
            throw Wrong("db", database, "a name without / \\ . \" $ * < > : | ? and blanks, of at most 63 characters");
        }

        var collection = given.GetValueOrDefault("collection", DefaultCollection);
        if (collection.Length == 0 || collection.AsSpan().ContainsAny('$', '\0') || collection.StartsWith("system.", StringComparison.Ordinal))
        {
            throw Wrong("collection", collection, "a collection's name");
        }

        var client = MongoClientSettings.FromUrl(url);
        if (given.TryGetValue("user", out var user))
        {
            client.Credential = MongoCredential.CreateCredential(url.AuthenticationSource ?? "admin", user, given.GetValueOrDefault("password", ""));
        }
        else if (given.ContainsKey("password") && client.Credential is null)
        {
            throw Wrong("user", "", "the user of the password");
        }

        if (given.TryGetValue("tls", out var tls))
        {
            client.UseTls = bool.TryParse(tls, out var isSecure) ? isSecure : throw Wrong("tls", tls, "true or false");
        }

        var isSeed = url.Scheme == global::MongoDB.Driver.Core.Configuration.ConnectionStringScheme.MongoDBPlusSrv;
        var hosts = string.Join(',', url.Servers.Select(server => isSeed ? server.Host : server.ToString()));
        return new MongoAddress
        {
            Settings = client,
            Database = database,
            EarlierCollection = collection,
            AuthorityFile = given.GetValueOrDefault("ca"),
            Location = $"{(isSeed ? SeedScheme : PlainScheme)}{hosts}/{database}",
        };
    }

    private static MongoUrl ReadUrl(string? address, Dictionary<string, string> given)
    {
        if (address is null)
        {
            var port = given.GetValueOrDefault("port", "27017");
            if (!ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number == 0)
            {
                throw Wrong("port", port, "a number from 1 to 65535");
            }

            return Parse(string.Create(CultureInfo.InvariantCulture, $"{PlainScheme}{given.GetValueOrDefault("host", "127.0.0.1")}:{number}/"));
        }

        foreach (var name in (string[])["host", "port"])
        {
            if (given.ContainsKey(name))
            {
                throw Twice(name);
            }
        }

        var isUrl = address.StartsWith(PlainScheme, StringComparison.OrdinalIgnoreCase) || address.StartsWith(SeedScheme, StringComparison.OrdinalIgnoreCase);
        var text = isUrl ? address : PlainScheme + address;
        var query = text.IndexOf('?', StringComparison.Ordinal);
        if (query >= 0 && text.IndexOf('@', query) >= 0)
        {
            throw new MirrorException(MirrorFault.Configuration, "The location of the store engine MongoDB has an @ after its question mark; write a question mark of the password as %3F, an @ of a setting as %40.");
        }

        var url = Parse(TakeOwn(text, query, given));
        if (given.ContainsKey("user") && url.Username is not null)
        {
            throw Twice("user");
        }

        return given.ContainsKey("db") && url.DatabaseName is not null ? throw Twice("db") : url;
    }

    // Settings of the engine stand among those of the driver; a name that neither knows is a mistake.
    private static string TakeOwn(string text, int query, Dictionary<string, string> given)
    {
        if (query < 0)
        {
            return text;
        }

        var left = new List<string>();
        foreach (var pair in text[(query + 1)..].Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? pair : pair[..equals];
            if (name is "collection" or "ca")
            {
                if (!given.TryAdd(name, equals < 0 ? "" : Uri.UnescapeDataString(pair[(equals + 1)..])))
                {
                    throw Twice(name);
                }
            }
            else if (UrlNames.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                left.Add(pair);
            }
            else
            {
                throw new MirrorException(MirrorFault.Configuration, $"The location of the store engine MongoDB has {MirrorException.Quote(name)} after its question mark; it knows collection, ca, {string.Join(", ", UrlNames)}.");
            }
        }

        return left.Count == 0 ? text[..query] : $"{text[..query]}?{string.Join('&', left)}";
    }

    private static MongoUrl Parse(string url)
    {
        try
        {
            return new MongoUrl(url);
        }
        catch (Exception e) when (e is MongoConfigurationException or FormatException or ArgumentException)
        {
            // The driver's words quote the URL, password and all.
            throw new MirrorException(MirrorFault.Configuration, "The location of the store engine MongoDB is no URL of a server; write mongodb://user:password@host:port/database, and / : @ ? # % of a user or a password as %2F %3A %40 %3F %23 %25.");
        }
    }

    private static MirrorException Wrong(string name, string value, string right) =>
        new(MirrorFault.Configuration, $"The store engine MongoDB has the {name} {MirrorException.Quote(value)}; give {right}.");

    private static MirrorException Twice(string name) =>
        new(MirrorFault.Configuration, $"The location of the store engine MongoDB and store.options both give {name}; keep one.");
}
