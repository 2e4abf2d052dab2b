using System.Text;

namespace NpmMirror.AspNetCore.Routing;

/// <summary>The <c>Forwarded</c> header of RFC 7239: <c>for=192.0.2.43;proto=https;host="npm.example.org:8443"</c>, an element for each proxy, the nearest last.</summary>
internal static class ForwardedHeader
{
    private const int MaxChars = 4096;

    /// <summary>The members of the last element by their name in lower case; none of a text that breaks the grammar.</summary>
    internal static Dictionary<string, string> ReadLast(string? text)
    {
        var members = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (text is not { Length: <= MaxChars })
        {
            return members;
        }

        for (var at = 0; at < text.Length; at++)
        {
            var equals = text.IndexOf('=', at);
            if (equals < 0)
            {
                return [];
            }

            var name = text[at..equals].Trim();
            if (ReadValue(text, equals + 1) is not { } value || name.Length == 0 || !members.TryAdd(name, value.Text))
            {
                return [];
            }

            at = value.End;
            if (at < text.Length && text[at] == ',')
            {
                // These are the words of a proxy further away.
                members.Clear();
            }
        }

        return members;
    }

    /// <summary>A token or a quoted string, and where it ends: at a separator or at the end of the text; null for anything else.</summary>
    private static (string Text, int End)? ReadValue(string text, int at)
    {
        var value = new StringBuilder();
        if (at < text.Length && text[at] == '"')
        {
            for (at++; at < text.Length && text[at] != '"'; at++)
            {
                at += text[at] == '\\' && at + 1 < text.Length ? 1 : 0;
                value.Append(text[at]);
            }

            for (at++; at < text.Length && text[at] == ' '; at++)
            {
            }

            return at > text.Length || (at < text.Length && text[at] is not (';' or ',')) ? null : (value.ToString(), at);
        }

        var end = text.IndexOfAny([';', ','], at);
        end = end < 0 ? text.Length : end;
        return (text[at..end].Trim(), end);
    }
}
