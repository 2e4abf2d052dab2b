using System.Diagnostics.Metrics;
using System.Net;
using System.Net.NetworkInformation;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using NpmMirror.Options;

namespace NpmMirror.AspNetCore.Routing;

/// <summary>How a request says it reached this mirror: over which scheme, host and, behind a proxy, path prefix.</summary>
internal readonly record struct Origin(string Scheme, string Host, string Prefix);

/// <summary>
/// The public address that the URLs of an answer begin with: <c>publicUrl</c>, else the request's own host, if it is one of this
/// mirror's names. Any other host gets no answer: answers cached under an invented one would send later clients there.
/// </summary>
internal sealed class PublicAddresses
{
    private const int RememberedMin = 128;

    private readonly string? _publicUrl;
    private readonly HashSet<string> _hosts = new(StringComparer.OrdinalIgnoreCase) { "localhost" };
    private readonly HashSet<IPAddress> _addresses = [];
    private readonly TrustedProxies _proxies;
    private readonly BoundedCache<(Origin Origin, string Mount), string> _known = new("addresses", RememberedMin);

    internal PublicAddresses(MirrorOptions options, Meter? meter = null)
    {
        _known.MeasureIn(meter);
        _publicUrl = options.PublicUrl?.TrimEnd('/');
        _proxies = new TrustedProxies(options.TrustedProxies);
        foreach (var host in options.AllowedHosts)
        {
            Allow(host);
        }

        if (Uri.TryCreate(options.Listen, UriKind.Absolute, out var listen))
        {
            Allow(listen.Host);
        }

        if (Uri.TryCreate(_publicUrl, UriKind.Absolute, out var publicUrl))
        {
            Allow(publicUrl.Host);
        }

        AllowOwnNames();
    }

    /// <summary>The request's own words, or those of a trusted proxy about it.</summary>
    internal Origin OriginOf(HttpContext context, IHttpRequestFeature request)
    {
        var host = request.Headers.Host;
        var origin = new Origin(request.Scheme, host.Count == 1 ? host[0] ?? "" : host.ToString(), "");
        return _proxies.IsEmpty ? origin : _proxies.Forwarded(context, origin);
    }

    /// <summary>The address without a trailing slash, or null for a host that this mirror does not go by.</summary>
    internal string? Find(HttpContext context, Origin origin, string mount)
    {
        if (_publicUrl is not null)
        {
            return _publicUrl;
        }

        if (_known.TryGet((origin, mount), out var known))
        {
            return known;
        }

        if (origin.Host.Length == 0)
        {
            // HTTP/1.0 without a Host: the address the client has reached is the one it can reach.
            var connection = context.Connection;
            return connection.LocalIpAddress is { } local ? $"{origin.Scheme}://{new IPEndPoint(Unmapped(local), connection.LocalPort)}{origin.Prefix}{mount}" : null;
        }

        if (!IsAllowed(context.Connection.LocalIpAddress, origin.Host))
        {
            return null;
        }

        var url = $"{origin.Scheme}://{WithoutDefaultPort(origin)}{origin.Prefix}{mount}";
        _known.Set((origin, mount), url);
        return url;
    }

    /// <summary>Whether a request that names this host gets an answer.</summary>
    internal bool IsServed(string host, IPAddress? local) => _publicUrl is not null || IsAllowed(local, host);

    /// <summary>True when the host is one of this mirror's own names, or the address <paramref name="local"/> that the client has reached.</summary>
    internal bool IsAllowed(IPAddress? local, string host)
    {
        if (!TrySplit(host, out var name))
        {
            return false;
        }

        if (_hosts.Contains(name))
        {
            return true;
        }

        return IPAddress.TryParse(name, out var address)
            && (IPAddress.IsLoopback(address) || _addresses.Contains(address) || (local is not null && Unmapped(local).Equals(address)));
    }

    /// <summary>The sentence for a host that is not ours.</summary>
    internal static string Refusal(Origin origin) =>
        $"This mirror does not go by the name {MirrorException.Quote(origin.Host)}; ask by a name it has, or add the name to allowedHosts (or set publicUrl).";

    private static IPAddress Unmapped(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    private static string WithoutDefaultPort(Origin origin)
    {
        // Clients leave default ports out when they compare addresses.
        var defaultPort = origin.Scheme == "https" ? ":443" : ":80";
        var host = origin.Host.ToLowerInvariant();
        return host.EndsWith(defaultPort, StringComparison.Ordinal) ? host[..^defaultPort.Length] : host;
    }

    /// <summary>The name or address of <c>name[:port]</c>; false for text that is neither.</summary>
    private static bool TrySplit(string host, out string name)
    {
        name = host;
        var afterAddress = host.StartsWith('[') ? host.IndexOf(']') + 1 : 0;
        var colon = host.IndexOf(':', afterAddress);
        if (colon >= 0)
        {
            name = host[..colon];
            if (!ushort.TryParse(host.AsSpan(colon + 1), System.Globalization.NumberStyles.None, null, out _))
            {
                return false;
            }
        }

        if (name.StartsWith('['))
        {
            name = name.EndsWith(']') ? name[1..^1] : "";
            return IPAddress.TryParse(name, out _);
        }

        foreach (var c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('.' or '-' or '_'))
            {
                return false;
            }
        }

        return name.Length > 0;
    }

    private void Allow(string host)
    {
        if (IPAddress.TryParse(host.Trim('[', ']'), out var address))
        {
            _addresses.Add(address);
        }
        else if (TrySplit(host, out var name))
        {
            _hosts.Add(name);
        }
    }

    private void AllowOwnNames()
    {
        try
        {
            Allow(Dns.GetHostName());
            var properties = IPGlobalProperties.GetIPGlobalProperties();
            if (properties.DomainName.Length > 0)
            {
                Allow($"{properties.HostName}.{properties.DomainName}");
            }

            foreach (var card in NetworkInterface.GetAllNetworkInterfaces())
            {
                foreach (var unicast in card.GetIPProperties().UnicastAddresses)
                {
                    _addresses.Add(unicast.Address);
                }
            }
        }
        catch (Exception e) when (e is NetworkInformationException or System.Net.Sockets.SocketException)
        {
            // A machine that does not tell its names has only the configured ones.
        }
    }
}
