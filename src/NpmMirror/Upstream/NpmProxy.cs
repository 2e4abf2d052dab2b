using System.Net;

namespace NpmMirror.Upstream;

/// <summary>The proxy that npm would use for an address. Never for this machine itself: a proxy's loopback is another one.</summary>
internal sealed class NpmProxy : IWebProxy
{
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
            credentials.Add(WithoutUser(proxy), "Basic", new NetworkCredential(Uri.UnescapeDataString(user[0]), Uri.UnescapeDataString(user.ElementAtOrDefault(1) ?? "")));
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
    internal static NpmProxy? Create(string? configured, string? forHttps, string? forHttp, string? exceptions)
    {
        if (configured is "false")
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

    private static Uri? Address(string? text)
    {
        if (string.IsNullOrEmpty(text) || text is "false" or "null")
        {
            return null;
        }

        var address = text.Contains("://", StringComparison.Ordinal) ? text : $"http://{text}";
        return Uri.TryCreate(address, UriKind.Absolute, out var proxy) && proxy.Scheme is "http" or "https"
            ? new Uri(address)
            : throw new MirrorException(MirrorFault.Configuration, $"The proxy's address is {MirrorException.Quote(Masked.Address(text))}; write http://host:port.");
    }

    private static Uri WithoutUser(Uri proxy) => new(proxy.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped));
}
