using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using NpmMirror.Upstream;

namespace NpmMirror.NpmSettings;

/// <summary>
/// The upstream as npm itself is configured: address, credentials, authorities and proxy, from the environment, the user's and the
/// global <c>.npmrc</c>, in this order, and the address at last from npm's own default. Its secrets are never printed.
/// </summary>
internal sealed class NpmConfig
{
    private readonly IReadOnlyList<IReadOnlyList<KeyValuePair<string, string>>> _layers;
    private readonly NpmSurroundings _surroundings;

    private NpmConfig(IReadOnlyList<IReadOnlyList<KeyValuePair<string, string>>> layers, NpmSurroundings surroundings)
    {
        _layers = layers;
        _surroundings = surroundings;
    }

    /// <summary>Reads npm's configuration; npm itself is asked only by <see cref="FindUpstreamAsync"/>.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: a file is there and cannot be read.</exception>
    public static NpmConfig Load(NpmSurroundings surroundings)
    {
        var environment = FromEnvironment(surroundings);
        var userFile = Find([environment], "userconfig") ?? Path.Combine(surroundings.HomeFolder, ".npmrc");
        var user = NpmrcFile.Read(userFile, surroundings.Variable);
        var prefix = Find([environment, user], "prefix") ?? surroundings.Variable("PREFIX") ?? surroundings.Prefix;
        var globalFile = Find([environment, user], "globalconfig") ?? (prefix is null ? null : Path.Combine(prefix, "etc", "npmrc"));
        return new NpmConfig([environment, user, globalFile is null ? [] : NpmrcFile.Read(globalFile, surroundings.Variable)], surroundings);
    }

    /// <summary>The upstream's address: <paramref name="given"/>, else the registry that npm is configured to use.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: no address is configured, or it is not valid.</exception>
    public async Task<Uri> FindUpstreamAsync(string? given, CancellationToken cancellationToken)
    {
        if (given is not null)
        {
            return Address(given, "upstream");
        }

        if (Find(_layers, "registry") is { Length: > 0 } configured)
        {
            return Address(configured, "npm's registry setting");
        }

        var told = await _surroundings.AskNpmAsync("registry", cancellationToken)
            ?? throw new MirrorException(MirrorFault.Configuration, "No upstream is known, and npm is not installed here to tell its registry; give --upstream URL.");
        return Address(told, "what `npm config get registry` prints");
    }

    /// <summary>The settings of npm's configuration for a client of an upstream.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: a certificate file or a proxy's address is unusable.</exception>
    public RegistryClientOptions ToClientOptions(Uri upstream) => new()
    {
        BaseUrl = upstream,
        Credentials = ReadCredentials(upstream),
        Proxy = NpmProxy.Create(
            ProxyOf("https-proxy") ?? ProxyOf("proxy"),
            ProxyVariable("https_proxy"),
            ProxyVariable("http_proxy") ?? ProxyVariable("proxy"),
            string.Join(',', All("noproxy")) is { Length: > 0 } configured ? configured : Variable("no_proxy")),
        Authorities = ReadAuthorities(),
        ClientCertificates = NpmClientCertificates.Read(Prefixes(), Value),
        ExtraAuthorities = _surroundings.Variable("NODE_EXTRA_CA_CERTS") is { Length: > 0 } file ? ReadPemFile(file, "NODE_EXTRA_CA_CERTS") : null,
        IsTlsStrict = Value("strict-ssl") is not "false",
    };

    private ProxySetting? ProxyOf(string key) => Value(key) is { } address ? new ProxySetting(address, $"npm's setting {key}") : null;

    private ProxySetting? ProxyVariable(string name) =>
        Variable(name) is { } address ? new ProxySetting(address, $"the environment's {(_surroundings.Variable(name) is { Length: > 0 } ? name : name.ToUpperInvariant())}") : null;

    private static List<KeyValuePair<string, string>> FromEnvironment(NpmSurroundings surroundings)
    {
        const string prefix = "npm_config_";
        var settings = new List<KeyValuePair<string, string>>();
        foreach (var name in surroundings.VariableNames)
        {
            if (name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase) && surroundings.Variable(name) is { Length: > 0 } value)
            {
                var key = name[prefix.Length..];
                // npm's rule: below the first character an underscore means a dash, but not in keys of one host.
                key = key.StartsWith("//", StringComparison.Ordinal) || key.Length == 0 ? key : $"{key[0]}{key[1..].Replace('_', '-')}".ToLowerInvariant();
                settings.Add(KeyValuePair.Create(key, NpmrcFile.Expand(value, surroundings.Variable)));
            }
        }

        return settings;
    }

    private static string? Find(IReadOnlyList<IReadOnlyList<KeyValuePair<string, string>>> layers, string key)
    {
        foreach (var layer in layers)
        {
            // Within one file the last line counts.
            for (var i = layer.Count - 1; i >= 0; i--)
            {
                if (layer[i].Key == key)
                {
                    return layer[i].Value;
                }
            }
        }

        return null;
    }

    private string? Value(string key) => Find(_layers, key) is { Length: > 0 } value and not "null" and not "undefined" ? value : null;

    private List<string> All(string key) =>
        _layers.Select(layer => layer.Where(setting => setting.Key == key).Select(setting => setting.Value).ToList()).FirstOrDefault(values => values.Count > 0) ?? [];

    /// <summary>A variable in lower or upper case, as all tools take the proxy ones.</summary>
    private string? Variable(string name) =>
        (_surroundings.Variable(name) ?? _surroundings.Variable(name.ToUpperInvariant())) is { Length: > 0 } value ? value : null;

    private static Uri Address(string text, string what)
    {
        var trimmed = text.Trim().TrimEnd('/');
        return Uri.TryCreate(trimmed, UriKind.Absolute, out var address) && address.Scheme is "http" or "https" && address.Host.Length > 0
            ? new Uri(trimmed)
            : throw new MirrorException(MirrorFault.Configuration, $"The upstream's address, {what}, is {MirrorException.Quote(Masked.Address(text))}; give --upstream http(s)://host/path.");
    }

    /// <summary>The addresses that have settings of their own: <c>//host/path/</c> of <c>//host/path/:name</c>.</summary>
    private IEnumerable<string> Prefixes() => _layers.SelectMany(layer => layer).Select(setting => setting.Key)
        .Where(key => key.StartsWith("//", StringComparison.Ordinal) && key.Contains(':', StringComparison.Ordinal))
        .Select(key => key[..key.LastIndexOf(':')])
        .Distinct(StringComparer.Ordinal);

    private RegistryCredentials ReadCredentials(Uri upstream)
    {
        var headers = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var prefix in Prefixes())
        {
            if (Header(name => Value($"{prefix}:{name}"), prefix) is { } header)
            {
                headers[prefix] = header;
            }
        }

        // Settings without a host are those of the registry that npm itself uses, and of no other.
        // A malformed one belongs to no host, and must not keep a mirror of another upstream from starting.
        var ownRegistry = Value("registry") is not { } registry ? upstream : HeaderValues.Address(registry);
        if (ownRegistry is null)
        {
            return new RegistryCredentials(headers);
        }

        var own = $"//{ownRegistry.Authority}{ownRegistry.AbsolutePath.TrimEnd('/')}/";
        if (!headers.ContainsKey(own) && Header(Value, "npm's registry") is { } general)
        {
            headers[own] = general;
        }

        return new RegistryCredentials(headers);
    }

    private static string? Header(Func<string, string?> setting, string where)
    {
        if (setting("_authToken") is { } token)
        {
            return $"Bearer {token}";
        }

        if (setting("_auth") is { } basic)
        {
            return $"Basic {basic}";
        }

        if (setting("username") is not { } user || setting("_password") is not { } encoded)
        {
            return null;
        }

        var password = new byte[encoded.Length];
        return Convert.TryFromBase64String(encoded, password, out var length)
            ? $"Basic {Convert.ToBase64String([.. Encoding.UTF8.GetBytes(user + ":"), .. password.AsSpan(0, length)])}"
            : throw new MirrorException(MirrorFault.Configuration, $"npm's setting _password for {where} is not base64; npm writes it so, correct the .npmrc.");
    }

    private X509Certificate2Collection? ReadAuthorities()
    {
        if (Value("cafile") is { } file)
        {
            return ReadPemFile(file, "cafile");
        }

        var given = All("ca").Where(pem => pem.Length > 0 && pem != "null").ToList();
        return given.Count == 0 ? null : ReadPem(string.Join('\n', given.Select(pem => pem.Replace("\\n", "\n", StringComparison.Ordinal))), "ca");
    }

    private static X509Certificate2Collection ReadPemFile(string file, string setting)
    {
        try
        {
            return ReadPem(File.ReadAllText(file), setting);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new MirrorException(MirrorFault.Configuration, $"npm's setting {setting} names {file}, which cannot be read ({exception.Message}); correct or remove it.", inner: exception);
        }
    }

    private static X509Certificate2Collection ReadPem(string pem, string setting)
    {
        var certificates = new X509Certificate2Collection();
        try
        {
            certificates.ImportFromPem(pem);
        }
        catch (CryptographicException exception)
        {
            throw new MirrorException(MirrorFault.Configuration, $"npm's setting {setting} holds no usable certificates ({exception.Message}); correct or remove it.", inner: exception);
        }

        return certificates.Count > 0 ? certificates : throw new MirrorException(MirrorFault.Configuration, $"npm's setting {setting} holds no certificate; correct or remove it.");
    }
}
