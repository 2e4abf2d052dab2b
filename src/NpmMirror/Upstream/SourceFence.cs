using System.Net;

namespace NpmMirror.Upstream;

/// <summary>
/// Where tarballs may come from: the upstream's own host, or one that the operator allowed, and never a network inside which the
/// upstream itself is not. A packument is written by strangers: without this any of them could make the mirror ask its neighbours.
/// </summary>
internal sealed class SourceFence(Uri upstream, IReadOnlyList<string> tarballHosts, Func<string, CancellationToken, Task<IPAddress[]>> resolve)
{
    /// <summary>The address to ask in place of the one given, or a refusal.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.ForbiddenSource"/>.</exception>
    internal Uri CheckTarball(Uri url)
    {
        if (url.Scheme != Uri.UriSchemeHttp && url.Scheme != Uri.UriSchemeHttps)
        {
            throw Forbidden(url, "it is no http address");
        }

        if (url.UserInfo.Length > 0)
        {
            throw Forbidden(url, "it holds a user name");
        }

        if (SameHost(url, upstream))
        {
            if (url.Port == upstream.Port)
            {
                return url.Scheme == upstream.Scheme ? url : throw Forbidden(url, "it is the upstream's port in another scheme");
            }

            // Old packuments say http:// of a registry that has long moved to https://.
            if (url.IsDefaultPort && upstream.IsDefaultPort)
            {
                return new UriBuilder(url) { Scheme = upstream.Scheme, Port = -1 }.Uri;
            }
        }

        if (!tarballHosts.Any(allowed => IsAllowed(allowed, url)))
        {
            throw Forbidden(url, "its host is neither the upstream's nor in tarballHosts; add it there if it is to be trusted");
        }

        return url;
    }

    /// <summary>Refuses addresses written as numbers or as localhost: all that can be checked when a proxy resolves names for us.</summary>
    internal void CheckLiteral(Uri url)
    {
        var literal = IPAddress.TryParse(url.DnsSafeHost, out var address) ? address : IsLocalhost(url.DnsSafeHost) ? IPAddress.Loopback : null;
        if (literal is null || AddressKinds.Of(literal) is AddressKind.Public)
        {
            return;
        }

        var own = IPAddress.TryParse(upstream.DnsSafeHost, out var upstreamAddress) ? upstreamAddress : IsLocalhost(upstream.DnsSafeHost) ? IPAddress.Loopback : null;
        if (own is null || AddressKinds.Of(own) != AddressKinds.Of(literal))
        {
            throw Forbidden(url, $"its address is a {Name(AddressKinds.Of(literal))} one");
        }
    }

    /// <summary>The addresses of a host that may be connected to; resolved once, so that the checked addresses are the used ones.</summary>
    internal async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        var addresses = await resolve(host, cancellationToken);
        if (Array.TrueForAll(addresses, address => AddressKinds.Of(address) is AddressKind.Public))
        {
            return addresses;
        }

        var kindsOfUpstream = await KindsOfUpstreamAsync(cancellationToken);
        var allowed = Array.FindAll(addresses, address => AddressKinds.Of(address) is var kind && (kind is AddressKind.Public || kindsOfUpstream.Contains(kind)));
        if (allowed.Length == 0)
        {
            throw new MirrorException(MirrorFault.ForbiddenSource, $"Host {MirrorException.Quote(host)} has a {Name(AddressKinds.Of(addresses[0]))} address, where the upstream itself is not: not asked.");
        }

        return allowed;
    }

    /// <summary>True when both addresses have one scheme, host and port: credentials go no farther.</summary>
    internal static bool SameOrigin(Uri left, Uri right) => left.Scheme == right.Scheme && left.Port == right.Port && SameHost(left, right);

    private static bool SameHost(Uri left, Uri right) => string.Equals(left.IdnHost.TrimEnd('.'), right.IdnHost.TrimEnd('.'), StringComparison.OrdinalIgnoreCase);

    private static bool IsAllowed(string allowed, Uri url)
    {
        // Bracketed or not, with a port or without: let Uri read it.
        return Uri.TryCreate($"http://{allowed}", UriKind.Absolute, out var host)
            && SameHost(host, url)
            && (!HasPort(allowed) || host.Port == url.Port);
    }

    private static bool HasPort(string host) => host.LastIndexOf(':') is var colon and > 0 && !host[colon..].Contains(']');

    private static bool IsLocalhost(string host)
    {
        var name = host.TrimEnd('.');
        return name.Equals("localhost", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase);
    }

    private static string Name(AddressKind kind) => kind switch
    {
        AddressKind.Loopback => "loopback",
        AddressKind.LinkLocal => "link-local",
        AddressKind.Private => "private",
        AddressKind.Reserved => "reserved",
        _ => "public",
    };

    private static MirrorException Forbidden(Uri url, string reason) =>
        new(MirrorFault.ForbiddenSource, $"Tarball address {MirrorException.Quote(UpstreamFailures.Where(url))} is not asked: {reason}.");

    private async Task<HashSet<AddressKind>> KindsOfUpstreamAsync(CancellationToken cancellationToken)
    {
        try
        {
            return [.. (await resolve(upstream.DnsSafeHost, cancellationToken)).Select(AddressKinds.Of)];
        }
        catch (System.Net.Sockets.SocketException)
        {
            // An upstream that does not resolve now grants nothing.
            return [];
        }
    }
}
