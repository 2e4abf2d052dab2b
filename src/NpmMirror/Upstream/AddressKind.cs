using System.Net;
using System.Net.Sockets;

namespace NpmMirror.Upstream;

/// <summary>The kind of network of an IP address, as far as it matters which documents may make us connect to it.</summary>
internal enum AddressKind
{
    Public,
    Loopback,
    LinkLocal,
    Private,
    Reserved,
}

/// <summary>Tells the kind of an address, also of IPv4 addresses that hide in IPv6 ones.</summary>
internal static class AddressKinds
{
    internal static AddressKind Of(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (!address.TryWriteBytes(bytes, out var length))
        {
            return AddressKind.Reserved;
        }

        return address.AddressFamily == AddressFamily.InterNetwork ? OfIPv4(bytes[..length]) : OfIPv6(bytes[..length]);
    }

    private static AddressKind OfIPv4(ReadOnlySpan<byte> address) => (address[0], address[1]) switch
    {
        // Linux connects 0.0.0.0 to this host.
        (0 or 127, _) => AddressKind.Loopback,
        (169, 254) => AddressKind.LinkLocal,
        (10, _) or (192, 168) or (172, >= 16 and <= 31) or (100, >= 64 and <= 127) => AddressKind.Private,
        (192, 0) when address[2] is 0 or 2 => AddressKind.Reserved,
        (198, 18 or 19) => AddressKind.Reserved,
        (198, 51) when address[2] == 100 => AddressKind.Reserved,
        (203, 0) when address[2] == 113 => AddressKind.Reserved,
        (>= 224, _) => AddressKind.Reserved,
        _ => AddressKind.Public,
    };

    private static AddressKind OfIPv6(ReadOnlySpan<byte> address)
    {
        // ::, ::1, ::a.b.c.d and ::ffff:a.b.c.d.
        if (!address[..10].ContainsAnyExcept((byte)0))
        {
            return address[10..12] is [0, 0] && address[12..14] is [0, 0]
                ? AddressKind.Loopback
                : address[10..12] is [0, 0] or [0xff, 0xff] ? OfIPv4(address[12..]) : AddressKind.Reserved;
        }

        return (address[0], address[1]) switch
        {
            (0xfe, >= 0x80 and <= 0xbf) => AddressKind.LinkLocal,
            (0xfe, >= 0xc0) or (0xfc or 0xfd, _) => AddressKind.Private,
            (0xff, _) => AddressKind.Reserved,
            // 6to4 and the translation prefixes carry an IPv4 address that a gateway would connect to.
            (0x20, 0x02) => OfIPv4(address[2..6]),
            (0x00, 0x64) when address[2..4] is [0xff, 0x9b] => address[4..12].ContainsAnyExcept((byte)0) ? AddressKind.Private : OfIPv4(address[12..]),
            // Teredo (2001:0::/32) and documentation (2001:db8::/32).
            (0x20, 0x01) when address[2..4] is [0, 0] or [0x0d, 0xb8] => AddressKind.Reserved,
            _ => AddressKind.Public,
        };
    }
}
