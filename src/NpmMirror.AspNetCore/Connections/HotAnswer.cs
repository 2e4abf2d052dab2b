using System.Buffers.Text;
using System.Text;
using NpmMirror.Registry;

namespace NpmMirror.AspNetCore.Connections;

/// <summary>A rendition with the heads of its answers as they go over the wire.</summary>
internal sealed class HotAnswer(Rendition rendition)
{
    /// <summary>Room that a head needs, its date and length included.</summary>
    internal const int HeadMaxBytes = 1024;

    private readonly byte[] _etag = Encoding.ASCII.GetBytes(rendition.ETag);
    private readonly byte[] _found = HeadOf("200 OK", rendition, $"Content-Type: {rendition.ContentType}\r\n" + (rendition.ContentEncoding is { } coding ? $"Content-Encoding: {coding}\r\n" : ""));
    private readonly byte[] _notModified = HeadOf("304 Not Modified", rendition, "");

    internal Rendition Rendition { get; } = rendition;

    /// <summary>As <see cref="RenditionAnswer.IsNotModified"/>, for a request that says <c>If-None-Match</c> or no condition at all.</summary>
    internal bool IsNotModified(ReadOnlySpan<byte> ifNoneMatch) => ifNoneMatch.IndexOf(_etag) >= 0 || ifNoneMatch is [(byte)'*'];

    /// <summary>Writes the head of a 304; returns its length.</summary>
    internal int WriteNotModified(Span<byte> target, ReadOnlySpan<byte> date)
    {
        _notModified.CopyTo(target);
        date.CopyTo(target[_notModified.Length..]);
        return _notModified.Length + date.Length;
    }

    /// <summary>Writes the head of a 200 with a body of this length; returns its own length.</summary>
    internal int WriteFound(Span<byte> target, int bodyLength, ReadOnlySpan<byte> date)
    {
        _found.CopyTo(target);
        var at = _found.Length;
        "Content-Length: "u8.CopyTo(target[at..]);
        at += 16;
        Utf8Formatter.TryFormat(bodyLength, target[at..], out var digits);
        at += digits;
        "\r\n"u8.CopyTo(target[at..]);
        at += 2;
        date.CopyTo(target[at..]);
        return at + date.Length;
    }

    private static byte[] HeadOf(string status, Rendition rendition, string representation)
    {
        var head = $"HTTP/1.1 {status}\r\n{representation}ETag: {rendition.ETag}\r\nVary: {CommonHeaders.Vary}\r\n"
            + $"Cache-Control: {CommonHeaders.PackumentCacheControl}\r\nAccess-Control-Allow-Origin: *\r\n"
            + (rendition.LastModified is { } modified ? $"Last-Modified: {modified}\r\n" : "");
        return Encoding.ASCII.GetBytes(head);
    }
}
