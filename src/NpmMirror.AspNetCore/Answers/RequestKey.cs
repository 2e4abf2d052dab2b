using System.Text;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>The parts of a request that decide its answer, as they came over the wire: a repeated request is not parsed.</summary>
internal readonly record struct RequestKey(string Target, Origin Origin, string Accept, string AcceptEncoding)
{
    /// <summary>The key as bytes; false for one that is too long, or not plain text.</summary>
    internal bool TryWrite(Span<byte> target, out int length)
    {
        length = 0;
        return Write(Target, target, ref length) && Write(Origin.Host, target, ref length) && Write(Accept, target, ref length) && Write(AcceptEncoding, target, ref length)
            && Write(Origin.Scheme, target, ref length) && Write(Origin.Prefix, target, ref length);
    }

    /// <summary>The same key of a request that came straight over a socket.</summary>
    internal static bool TryWrite(in RequestHead head, Span<byte> target, out int length)
    {
        length = 0;
        return Write(head.Target, target, ref length) && Write(head.Host, target, ref length) && Write(head.Accept, target, ref length) && Write(head.AcceptEncoding, target, ref length)
            && Write("http"u8, target, ref length) && Write(default(ReadOnlySpan<byte>), target, ref length);
    }

    private static bool Write(string part, Span<byte> target, ref int length)
    {
        if (part.Length >= target.Length - length || !Ascii.IsValid(part))
        {
            return false;
        }

        length += Encoding.ASCII.GetBytes(part, target[length..]);
        target[length++] = (byte)'\n';
        return true;
    }

    private static bool Write(ReadOnlySpan<byte> part, Span<byte> target, ref int length)
    {
        if (part.Length >= target.Length - length)
        {
            return false;
        }

        part.CopyTo(target[length..]);
        length += part.Length;
        target[length++] = (byte)'\n';
        return true;
    }
}
