using System.Buffers;
using System.Net;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Shortcut;

/// <summary>
/// A 400 with a message for requests that the server refuses without one, before they reach an endpoint: a path with <c>%00</c>, an invalid Host. The
/// connection ends with it, as it does there.
/// </summary>
internal sealed class RefusedHead : RememberedAnswer
{
    private static readonly RefusedHead NullInPath = new("The path is not valid: it has a %00, which no name, version or file has.");
    private static readonly RefusedHead MalformedHost = new("The Host header is not valid: it must be a name or an address, and a port where there is one.");

    // The characters of a host for the server: letters, digits and the marks of a name, and brackets around an address.
    private static readonly SearchValues<byte> NameBytes = SearchValues.Create("!$%&'()*+,-.0123456789;=ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"u8);
    private static readonly SearchValues<byte> AddressBytes = SearchValues.Create("0123456789ABCDEFabcdef:."u8);

    private readonly byte[] _body;

    private RefusedHead(string message)
        : base(RegistryRoute.MalformedPattern, "Cache-Control: no-cache\r\nConnection: close\r\n", "Content-Type: application/json\r\n", null, "400 Bad Request") => _body = RegistryErrors.BodyOf(message);

    /// <summary>The refusal of a GET that the server would refuse without a message, or null.</summary>
    internal static RefusedHead? Of(in RequestHead head)
    {
        var query = head.Target.IndexOf((byte)'?');
        var path = query < 0 ? head.Target : head.Target[..query];
        return path.IndexOf("%00"u8) >= 0 ? NullInPath : IsHost(head.Host) ? null : MalformedHost;
    }

    /// <inheritdoc/>
    internal override bool TryBegin(ReadOnlySpan<byte> ifNoneMatch, EndPoint? client, out AnswerBody body)
    {
        body = new AnswerBody(_body, null, _body.Length);
        return true;
    }

    private static bool IsHost(ReadOnlySpan<byte> host)
    {
        if (host.IsEmpty)
        {
            return true;
        }

        var isAddress = host[0] == '[';
        var end = isAddress ? host.IndexOf((byte)']') : host.IndexOf((byte)':');
        var name = end < 0 ? host : isAddress ? host[1..end] : host[..end];
        var port = end < 0 ? [] : host[(isAddress ? end + 1 : end)..];
        return !(isAddress && end < 0) && !name.ContainsAnyExcept(isAddress ? AddressBytes : NameBytes)
            && (port.IsEmpty || (port[0] == ':' && !port[1..].ContainsAnyExceptInRange((byte)'0', (byte)'9')));
    }
}
