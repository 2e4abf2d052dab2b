using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace NpmMirror.AspNetCore;

/// <summary>The proxies in front of this mirror: only their <c>X-Forwarded-*</c> headers are believed.</summary>
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

        var headers = context.Request.Headers;
        return new Origin(
            Last(headers["X-Forwarded-Proto"]) is { } proto && proto is "http" or "https" ? proto : origin.Scheme,
            Last(headers["X-Forwarded-Host"]) ?? origin.Host,
            Last(headers["X-Forwarded-Prefix"]) is { } prefix && IsPath(prefix) ? prefix.TrimEnd('/') : origin.Prefix);
    }

    private bool IsTrusted(IPAddress? peer)
    {
        if (peer is null)
        {
            return false;
        }

        peer = peer.IsIPv4MappedToIPv6 ? peer.MapToIPv4() : peer;
        foreach (var network in _networks)
        {
            if (network.Contains(peer))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The value the nearest proxy added: what stands before it came from further away.</summary>
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
