using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace NpmMirror.AspNetCore.Routing;

/// <summary>The proxies in front of this mirror: only their <c>X-Forwarded-*</c> and <c>Forwarded</c> headers are believed.</summary>
internal sealed class TrustedProxies
{
    private readonly List<IPNetwork> _networks = [];

    internal TrustedProxies(IEnumerable<string> proxies)
    {
        foreach (var proxy in proxies)
        {
            if (IPAddress.TryParse(proxy, out var address))
            {
                _networks.Add(new IPNetwork(address, address.GetAddressBytes().Length * 8));
            }
            else if (IPNetwork.TryParse(proxy, out var network))
            {
                _networks.Add(network);
            }
        }
    }

    /// <summary>True when no proxy is trusted.</summary>
    internal bool IsEmpty => _networks.Count == 0;

    /// <summary>The origin as the proxy saw it, where the peer is one and says so.</summary>
    internal Origin Forwarded(HttpContext context, Origin origin)
    {
        if (!IsTrusted(context.Connection.RemoteIpAddress))
        {
            return origin;
        }

        var told = Told(context.Request.Headers);
        var scheme = told.Scheme?.ToLowerInvariant() is "http" or "https" ? told.Scheme.ToLowerInvariant() : null;
        var host = told.Host ?? (scheme is null ? origin.Host : WithoutInnerPort(origin.Host, scheme));
        return new Origin(scheme ?? origin.Scheme, WithPort(host, told.Port), told.Prefix is { } prefix && IsPath(prefix) ? prefix.TrimEnd('/') : origin.Prefix);
    }

    /// <summary>
    /// The headers of the nearest proxy. The two families of headers are not mixed: a proxy writes one of them and passes the other on as a stranger
    /// sent it, and most proxies write <c>X-Forwarded-*</c>.
    /// </summary>
    private static (string? Scheme, string? Host, string? Port, string? Prefix) Told(IHeaderDictionary headers)
    {
        var (scheme, host, port, prefix) = (Last(headers["X-Forwarded-Proto"]), Last(headers["X-Forwarded-Host"]), Last(headers["X-Forwarded-Port"]), Last(headers["X-Forwarded-Prefix"]));
        if ((scheme ?? host ?? port ?? prefix) is not null || headers["Forwarded"] is not { Count: > 0 } standard)
        {
            return (scheme, host, port, prefix);
        }

        var nearest = ForwardedHeader.ReadLast(standard[^1]);
        return (nearest.GetValueOrDefault("proto"), nearest.GetValueOrDefault("host"), null, null);
    }

    /// <summary>
    /// The host of <c>Host</c> without the default port of the other scheme. It is the port of a connection inside
    /// (nginx: <c>proxy_set_header Host $host:$server_port</c>), while the scheme is that of the connection outside: https is not served at port 80.
    /// </summary>
    private static string WithoutInnerPort(string host, string scheme)
    {
        var innerPort = scheme == Uri.UriSchemeHttps ? ":80" : ":443";
        return host.EndsWith(innerPort, StringComparison.Ordinal) ? host[..^innerPort.Length] : host;
    }

    /// <summary>The host with the port that the proxy tells in a header of its own; a port in the host itself counts for more.</summary>
    private static string WithPort(string host, string? port) =>
        HeaderValues.Port(port) is { } number && !host.AsSpan(host.IndexOf(']') + 1).Contains(':')
            ? string.Create(CultureInfo.InvariantCulture, $"{host}:{number}")
            : host;

    private bool IsTrusted(IPAddress? peer)
    {
        if (peer is null)
        {
            return false;
        }

        foreach (var network in _networks)
        {
            if (network.Contains(peer))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The value that the nearest proxy added: earlier values came from further away.</summary>
    private static string? Last(StringValues values)
    {
        var last = values.Count == 0 ? null : values[^1];
        return last is null ? null : last[(last.LastIndexOf(',') + 1)..].Trim() is { Length: > 0 } value ? value : null;
    }

    private static bool IsPath(string prefix)
    {
        foreach (var c in prefix)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('/' or '.' or '-' or '_' or '~'))
            {
                return false;
            }
        }

        return prefix.StartsWith('/');
    }
}
