using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using NpmMirror.Options;

namespace NpmMirror.Cli;

/// <summary>Which machines can reach the address that a mirror listens on, in a sentence for its operator.</summary>
internal static class ReachLine
{
    private const int AddressesMax = 3;

    /// <summary>The address to name to a person on this machine: loopback in the place of "every address".</summary>
    public static string ForThisMachine(Uri bound) => IsEveryAddress(bound) ? $"http://127.0.0.1:{bound.Port}" : bound.GetLeftPart(UriPartial.Authority);

    /// <summary>The sentence.</summary>
    public static string Describe(Uri bound, MirrorOptions options)
    {
        if (options.PublicUrl is { } publicUrl)
        {
            return $"Clients use {publicUrl.TrimEnd('/')}/ (publicUrl).";
        }

        if (bound.IsLoopback)
        {
            return $"Only programs on this machine reach it; --listen=0.0.0.0:{bound.Port} opens it to others.";
        }

        var path = options.Mount.TrimEnd('/') + "/";
        var addresses = IsEveryAddress(bound) ? [.. OwnAddresses().Select(address => $"http://{address}:{bound.Port}{path}")] : new[] { $"{bound.GetLeftPart(UriPartial.Authority)}{path}" };
        return addresses.Length > 0
            ? $"Other machines reach it at {string.Join(" or ", addresses)}; add a name that they use instead to allowedHosts."
            : "It listens on every address of this machine, which has none that other machines reach.";
    }

    private static bool IsEveryAddress(Uri bound) => IPAddress.TryParse(bound.DnsSafeHost, out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any));

    private static IEnumerable<IPAddress> OwnAddresses()
    {
        try
        {
            return [.. NetworkInterface.GetAllNetworkInterfaces()
                .Where(card => card.OperationalStatus == OperationalStatus.Up)
                .SelectMany(card => card.GetIPProperties().UnicastAddresses)
                .Select(own => own.Address)
                .Where(address => address.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(address))
                .Take(AddressesMax)];
        }
        catch (NetworkInformationException)
        {
            return []; // A machine that does not tell its addresses.
        }
    }
}
