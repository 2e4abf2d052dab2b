using System.Buffers;

namespace NpmMirror.AspNetCore.Routing;

/// <summary>How a request may be answered, by its head alone.</summary>
internal enum RequestKind
{
    /// <summary>Not understood to the last byte, or with a body: from here on the connection is the server's alone.</summary>
    Opaque = 0,

    /// <summary>A whole request without a body, which the server answers.</summary>
    Plain,

    /// <summary>A plain GET whose answer depends only on the headers read here.</summary>
    Simple,
}

/// <summary>
/// The head of one request, read in place. Stricter than any server: a doubtful head is left to the server, so the two
/// can never disagree about where a request ends.
/// </summary>
internal readonly ref struct RequestHead
{
    /// <summary>As many as the server takes (<c>KestrelServerLimits.MaxRequestHeaderCount</c>).</summary>
    private const int HeadersMax = 100;

    private static readonly SearchValues<byte> TokenBytes = SearchValues.Create("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"u8);

    // Visible ASCII and the blanks between: the server judges any other value.
    private static readonly SearchValues<byte> ValueBytes = SearchValues.Create([(byte)'\t', .. Enumerable.Range(' ', '~' - ' ' + 1).Select(c => (byte)c)]);
    private static readonly SearchValues<byte> TargetBytes = SearchValues.Create([.. Enumerable.Range('!', '~' - '!' + 1).Select(c => (byte)c)]);

    private RequestHead(ReadOnlySpan<byte> target) => Target = target;

    /// <summary>The request target, as sent.</summary>
    internal ReadOnlySpan<byte> Target { get; }

    internal ReadOnlySpan<byte> Host { get; private init; }

    internal ReadOnlySpan<byte> Accept { get; private init; }

    internal ReadOnlySpan<byte> AcceptEncoding { get; private init; }

    internal ReadOnlySpan<byte> IfNoneMatch { get; private init; }

    /// <summary>Reads a head, the empty line at its end included.</summary>
    internal static RequestKind Read(ReadOnlySpan<byte> bytes, out RequestHead head)
    {
        head = default;
        var isGet = bytes.StartsWith("GET /"u8);
        if (!isGet && !bytes.StartsWith("HEAD /"u8))
        {
            return RequestKind.Opaque;
        }

        var line = bytes[..bytes.IndexOf((byte)'\r')];
        var target = line[(isGet ? 4 : 5)..];
        if (!target.EndsWith(" HTTP/1.1"u8))
        {
            return RequestKind.Opaque;
        }

        target = target[..^9];
        if (target.ContainsAnyExcept(TargetBytes))
        {
            return RequestKind.Opaque;
        }

        ReadOnlySpan<byte> host = default, accept = default, acceptEncoding = default, ifNoneMatch = default;
        var seen = Seen.Nothing;
        var kind = isGet ? RequestKind.Simple : RequestKind.Plain;
        var count = 0;
        for (var rest = bytes[line.Length..]; !rest.SequenceEqual("\r\n\r\n"u8);)
        {
            // The server refuses more than these, so it judges them.
            if (++count > HeadersMax)
            {
                return RequestKind.Opaque;
            }

            // The line end before each header is still there: "\r\nName: value".
            if (!rest.StartsWith("\r\n"u8))
            {
                return RequestKind.Opaque;
            }

            rest = rest[2..];
            var end = rest.IndexOf((byte)'\r');
            var colon = rest[..end].IndexOf((byte)':');
            if (colon <= 0)
            {
                return RequestKind.Opaque;
            }

            var name = rest[..colon];
            var value = rest[(colon + 1)..end].Trim(" \t"u8);
            if (name.ContainsAnyExcept(TokenBytes) || value.ContainsAnyExcept(ValueBytes))
            {
                return RequestKind.Opaque;
            }

            var one = Name(name);
            // The answer may depend on a repeated header, or the repetition is meant to make one server misunderstand another.
            if (one is Seen.Framing || (one is not Seen.Nothing && (seen & one) != 0))
            {
                return RequestKind.Opaque;
            }

            seen |= one;
            switch (one)
            {
                case Seen.Host:
                    host = value;
                    break;
                case Seen.Accept:
                    accept = value;
                    break;
                case Seen.AcceptEncoding:
                    acceptEncoding = value;
                    break;
                case Seen.IfNoneMatch:
                    ifNoneMatch = value;
                    break;
                case Seen.Connection when Is(value, "keep-alive"u8):
                    break;
                case Seen.Connection or Seen.Other:
                    kind = RequestKind.Plain;
                    break;
            }

            rest = rest[end..];
        }

        if ((seen & Seen.Host) == 0)
        {
            return RequestKind.Opaque;
        }

        head = new RequestHead(target) { Host = host, Accept = accept, AcceptEncoding = acceptEncoding, IfNoneMatch = ifNoneMatch };
        return kind;
    }

    private static Seen Name(ReadOnlySpan<byte> name) => name.Length switch
    {
        4 when Is(name, "host"u8) => Seen.Host,
        5 when Is(name, "range"u8) => Seen.Other,
        6 when Is(name, "accept"u8) => Seen.Accept,
        6 when Is(name, "expect"u8) => Seen.Framing,
        7 when Is(name, "upgrade"u8) => Seen.Framing,
        10 when Is(name, "connection"u8) => Seen.Connection,
        13 when Is(name, "if-none-match"u8) => Seen.IfNoneMatch,
        13 when Is(name, "last-event-id"u8) => Seen.Other,
        14 when Is(name, "content-length"u8) => Seen.Framing,
        15 when Is(name, "accept-encoding"u8) => Seen.AcceptEncoding,
        17 when Is(name, "transfer-encoding"u8) => Seen.Framing,
        17 when Is(name, "if-modified-since"u8) => Seen.Other,
        19 when Is(name, "npm-mirror-instance"u8) => Seen.Other,
        _ => Seen.Nothing,
    };

    private static bool Is(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lower) => System.Text.Ascii.EqualsIgnoreCase(text, lower);

    [Flags]
    private enum Seen
    {
        Nothing = 0,
        Host = 1,
        Accept = 2,
        AcceptEncoding = 4,
        IfNoneMatch = 8,
        Connection = 16,

        /// <summary>Decides the answer, and is read elsewhere.</summary>
        Other = 32,

        /// <summary>Says that more than a head belongs to this request.</summary>
        Framing = 64,
    }
}
