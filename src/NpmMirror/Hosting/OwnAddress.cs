using System.Net;
using System.Net.NetworkInformation;
using NpmMirror.Options;

namespace NpmMirror.Hosting;

/// <summary>Tells whether an address is where this mirror itself would be reached.</summary>
internal static class OwnAddress
{
    /// <summary>Whether a request to the address would come back to a mirror with these options.</summary>
    public static bool Is(Uri address, MirrorOptions options)
    {
        if (options.PublicUrl is { } publicUrl && new Uri(publicUrl) is var known && known.Authority == address.Authority && address.AbsolutePath.StartsWith(known.AbsolutePath.TrimEnd('/'), StringComparison.Ordinal))
        {
            return true;
        }

        return address.Scheme == Uri.UriSchemeHttp && address.Port == ListenPort(options) && IsThisMachine(address);
    }

    /// <summary>The port listened on; 0 for any free one.</summary>
    public static int ListenPort(MirrorOptions options) =>
        new Uri(options.Listen.Replace("//*", "//0.0.0.0", StringComparison.Ordinal).Replace("//+", "//0.0.0.0", StringComparison.Ordinal)).Port;

    private static bool IsThisMachine(Uri address)
    {
        if (address.IsLoopback || string.Equals(address.Host, Environment.MachineName, StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        return IPAddress.TryParse(address.DnsSafeHost, out var ip) && NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(network => network.GetIPProperties().UnicastAddresses)
            .Any(own => own.Address.Equals(ip));
    }
}
