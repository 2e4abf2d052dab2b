using System.Net;

namespace NpmMirror.NpmSettings;

/// <summary>A proxy's address as it is written somewhere, and where.</summary>
internal sealed record ProxySetting(string Address, string Source);

/// <summary>The proxy that npm would use for an address: one that speaks HTTP, or SOCKS as .NET's client does. Never for this machine itself: a proxy's loopback is another one.</summary>
internal sealed class NpmProxy : IWebProxy
{
    private const int SocksPort = 1080;

    private readonly Uri? _forHttps;
    private readonly Uri? _forHttp;
    private readonly string[] _exceptions;

    private NpmProxy(Uri? forHttps, Uri? forHttp, string? exceptions)
    {
        _forHttps = forHttps;
        _forHttp = forHttp;
        _exceptions = (exceptions ?? "").Split([',', ' '], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var credentials = new CredentialCache();
        foreach (var proxy in new[] { forHttps, forHttp }.OfType<Uri>().Where(proxy => proxy.UserInfo.Length > 0).DistinctBy(proxy => proxy.Authority))
        {
            var user = proxy.UserInfo.Split(':', 2);
            // SOCKS has its own way to tell a password, which .NET's client looks up by the scheme.
            credentials.Add(WithoutUser(proxy), proxy.Scheme is "http" or "https" ? "Basic" : proxy.Scheme, new NetworkCredential(Uri.UnescapeDataString(user[0]), Uri.UnescapeDataString(user.ElementAtOrDefault(1) ?? "")));
        }

        Credentials = credentials;
    }

    /// <inheritdoc/>
    public ICredentials? Credentials { get; set; }

    /// <summary>The proxy, or null for none.</summary>
    /// <param name="configured">npm's own setting, for all addresses; <c>false</c> for none.</param>
    /// <param name="forHttps">The environment's, where npm has no setting.</param>
    /// <param name="forHttp">The environment's for plain http.</param>
    /// <param name="exceptions">Hosts and domains asked directly, by commas.</param>
    internal static NpmProxy? Create(ProxySetting? configured, ProxySetting? forHttps, ProxySetting? forHttp, string? exceptions)
    {
        if (configured is { Address: "false" })
        {
            return null;
        }

        var https = Address(configured ?? forHttps);
        var http = Address(configured ?? forHttp ?? forHttps);
        return https is null && http is null ? null : new NpmProxy(https, http, exceptions);
    }

    /// <inheritdoc/>
    public Uri? GetProxy(Uri destination) => IsBypassed(destination) ? null : WithoutUser(ProxyFor(destination)!);

    /// <inheritdoc/>
    public bool IsBypassed(Uri host) => ProxyFor(host) is null || host.IsLoopback || Array.Exists(_exceptions, exception => IsExcepted(exception, host));

    private Uri? ProxyFor(Uri destination) => destination.Scheme == Uri.UriSchemeHttps ? _forHttps : _forHttp;

    private static bool IsExcepted(string exception, Uri host)
    {
        if (exception == "*")
        {
            return true;
        }

        var name = exception;
        if (exception.LastIndexOf(':') is var colon and > 0 && int.TryParse(exception.AsSpan(colon + 1), out var port) && !exception.EndsWith(']'))
        {
            if (port != host.Port)
            {
                return false;
            }

            name = exception[..colon];
        }

        name = name.TrimStart('*').TrimStart('.').Trim('[', ']');
        return name.Length > 0
            && (host.DnsSafeHost.Equals(name, StringComparison.OrdinalIgnoreCase) || host.DnsSafeHost.EndsWith("." + name, StringComparison.OrdinalIgnoreCase));
    }

    private static Uri? Address(ProxySetting? setting)
    {
        if (setting is null or { Address: "" or "false" or "null" })
        {
            return null;
        }

        var text = setting.Address;
        if (Uri.TryCreate(text.Contains(Uri.SchemeDelimiter, StringComparison.Ordinal) ? text : $"http://{text}", UriKind.Absolute, out var address) && address.Host.Length > 0)
        {
            switch (address.Scheme)
            {
                case "http" or "https":
                    return address;
                case "socks4" or "socks4a" or "socks5":
                    return OfSocks(address, address.Scheme);
                // With either the proxy looks names up, as .NET's client always leaves it to a SOCKS 5 proxy.
                case "socks" or "socks5h":
                    return OfSocks(address, "socks5");
            }
        }

        throw new MirrorException(MirrorFault.Configuration, $"The proxy's address, {setting.Source}, is {MirrorException.Quote(Masked.Address(text))}; write http://host:port, or socks5://host:port.");
    }

    private static Uri OfSocks(Uri address, string scheme) => new UriBuilder(address) { Scheme = scheme, Port = address.Port > 0 ? address.Port : SocksPort }.Uri;

    private static Uri WithoutUser(Uri proxy) => new(proxy.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped));
}
