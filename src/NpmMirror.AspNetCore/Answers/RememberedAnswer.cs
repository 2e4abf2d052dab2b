using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>The body after a head: bytes from memory, or a file's, or nothing if the client has them already.</summary>
/// <param name="Bytes">All of the body.</param>
/// <param name="File">The body's file, which its sender closes.</param>
/// <param name="LengthBytes">The length of these bytes, even if the answer has others by the time they are sent.</param>
internal readonly record struct AnswerBody(byte[]? Bytes, SafeFileHandle? File, long LengthBytes)
{
    /// <summary>True for a 304.</summary>
    internal bool IsNotModified => Bytes is null && File is null;
}

/// <summary>An answer that was given before, with its heads as they go over the wire. It can be given again as long as nothing changed.</summary>
internal abstract class RememberedAnswer(string route, string validators, string representation, string? etag, string status = "200 OK")
{
    /// <summary>Room that a head needs, its date and length included.</summary>
    internal const int HeadMaxBytes = 1024;

    private readonly byte[] _etag = Encoding.ASCII.GetBytes(etag ?? "");
    private readonly byte[] _found = Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\n{representation}{validators}");
    private readonly byte[] _notModified = Encoding.ASCII.GetBytes($"HTTP/1.1 304 Not Modified\r\n{validators}");

    private readonly int _status = int.Parse(status.AsSpan(0, 3), CultureInfo.InvariantCulture);

    /// <summary>The route's pattern.</summary>
    internal string Route { get; } = route;

    /// <summary>The body to send now; false if the server has to look.</summary>
    /// <param name="ifNoneMatch">The header, empty if there is none.</param>
    /// <param name="client">The address that asks.</param>
    /// <param name="body">The body, to be sent after the head.</param>
    internal abstract bool TryBegin(ReadOnlySpan<byte> ifNoneMatch, System.Net.EndPoint? client, out AnswerBody body);

    /// <summary>The status with this body.</summary>
    internal int StatusOf(in AnswerBody body) => body.IsNotModified ? 304 : _status;

    /// <summary>Writes the head of a 304, or of a 200 with the whole body; returns its length.</summary>
    internal int WriteHead(Span<byte> target, in AnswerBody body, ReadOnlySpan<byte> date)
    {
        var head = body.IsNotModified ? _notModified : _found;
        head.CopyTo(target);
        var at = head.Length;
        if (!body.IsNotModified)
        {
            "Content-Length: "u8.CopyTo(target[at..]);
            at += 16;
            Utf8Formatter.TryFormat(body.LengthBytes, target[at..], out var digits);
            at += digits;
            "\r\n"u8.CopyTo(target[at..]);
            at += 2;
        }

        date.CopyTo(target[at..]);
        return at + date.Length;
    }

    /// <summary>True when the client's validators name this very representation.</summary>
    private protected bool IsKnown(ReadOnlySpan<byte> ifNoneMatch) => !ifNoneMatch.IsEmpty && EntityTags.Names(ifNoneMatch, _etag);
}
