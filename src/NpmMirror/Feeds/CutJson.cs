using System.Text.Json;

namespace NpmMirror.Feeds;

/// <summary>
/// Tells an answer that broke off from one that is something else: where its length was not told, only the text shows that. The first passes by
/// itself; the second means that nothing like it is served there.
/// </summary>
internal static class CutJson
{
    /// <summary>Whether the text is the beginning of a JSON document and not all of it; nothing at all is one too.</summary>
    internal static bool Is(ReadOnlySpan<byte> text)
    {
        var reader = new Utf8JsonReader(text, isFinalBlock: false, default);
        try
        {
            while (reader.Read())
            {
            }
        }
        catch (JsonException)
        {
            return false;
        }

        return IsOpen(reader);
    }

    /// <summary>Whether a reader that has read all there is stands inside the document; a bracket that has just opened counts as outside for the reader itself.</summary>
    internal static bool IsOpen(in Utf8JsonReader reader) => reader.CurrentDepth > 0 || reader.TokenType is JsonTokenType.None or JsonTokenType.StartObject or JsonTokenType.StartArray;
}
