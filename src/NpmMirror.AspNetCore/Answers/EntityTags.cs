using System.Text;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>Reads <c>If-None-Match</c> as RFC 9110 spells it: <c>*</c>, or tags between quotes, weak ones too, separated by commas.</summary>
internal static class EntityTags
{
    private const int OnStackMax = 1024;

    /// <summary>True if the list names the tag (quotes included), weak or strong, or any. A malformed list names none.</summary>
    internal static bool Names(ReadOnlySpan<byte> list, ReadOnlySpan<byte> tag)
    {
        list = list.Trim(" \t"u8);
        if (list is [(byte)'*'])
        {
            return true;
        }

        var isFound = false;
        while (!list.IsEmpty)
        {
            var opaque = list.StartsWith("W/"u8) ? list[2..] : list;
            if (opaque is not [(byte)'"', .. var inside] || inside.IndexOf((byte)'"') is not (>= 0 and var end))
            {
                return false;
            }

            isFound |= opaque[..(end + 2)].SequenceEqual(tag);
            list = opaque[(end + 2)..].TrimStart(" \t"u8);
            if (!list.IsEmpty && list[0] != ',')
            {
                return false;
            }

            // Empty elements are allowed.
            list = list.TrimStart(" \t,"u8);
        }

        return isFound;
    }

    /// <summary>The same of a header's value.</summary>
    internal static bool Names(string list, string tag)
    {
        var length = list.Length + tag.Length;
        Span<byte> bytes = length <= OnStackMax ? stackalloc byte[length] : new byte[length];
        // A character that is no byte cannot be part of a tag of ours.
        Encoding.Latin1.GetBytes(list, bytes);
        Encoding.Latin1.GetBytes(tag, bytes[list.Length..]);
        return Names(bytes[..list.Length], bytes[list.Length..]);
    }
}
