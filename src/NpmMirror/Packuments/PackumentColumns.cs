using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>The parts of a packument that stores keep as columns for queries, read from small slices after the pass.</summary>
internal static class PackumentColumns
{
    // Enough for queries; a hostile list must not become a hostile row.
    private const int TextsMax = 1_000;

    /// <summary>The strings of <c>keywords</c>: a list, or one text.</summary>
    public static IReadOnlyList<string> Keywords(ReadOnlySpan<byte> value) => Texts(value, ""u8);

    /// <summary>The names in <c>maintainers</c>: objects with a <c>name</c>, or texts like <c>name &lt;mail&gt;</c>.</summary>
    public static IReadOnlyList<string> MaintainerNames(ReadOnlySpan<byte> value)
    {
        var names = Texts(value, "name"u8);
        for (var i = 0; i < names.Count; i++)
        {
            var mail = names[i].IndexOf('<', StringComparison.Ordinal);
            names[i] = (mail > 0 ? names[i][..mail] : names[i]).Trim();
        }

        return names;
    }

    /// <summary><c>license</c> as one text: a text, an object with a <c>type</c>, or a list of either.</summary>
    public static string? License(ReadOnlySpan<byte> value)
    {
        var texts = Texts(value, "type"u8);
        return texts.Count == 0 ? null : string.Join(", ", texts);
    }

    private static List<string> Texts(ReadOnlySpan<byte> value, ReadOnlySpan<byte> member)
    {
        var texts = new List<string>();
        if (value.IsEmpty)
        {
            return texts;
        }

        var reader = new Utf8JsonReader(value, JsonText.ReaderOptions);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            Take(ref reader, value, member, texts);
            return texts;
        }

        for (var count = 0; count < TextsMax && reader.Read() && reader.TokenType != JsonTokenType.EndArray; count++)
        {
            Take(ref reader, value, member, texts);
        }

        return texts;
    }

    private static void Take(ref Utf8JsonReader reader, ReadOnlySpan<byte> value, ReadOnlySpan<byte> member, List<string> texts)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            Add(reader.ValueSpan, texts);
            return;
        }

        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        var found = member.IsEmpty ? default : JsonMembers.Find(value, new Slice(start, (int)reader.BytesConsumed - start), member);
        if (!found.IsEmpty && value[found.Offset] == '"')
        {
            Add(found.Of(value)[1..^1], texts);
        }
    }

    private static void Add(ReadOnlySpan<byte> text, List<string> texts)
    {
        if (text.Length <= JsonText.WordSizeMaxBytes)
        {
            texts.Add(JsonText.Decode(text));
        }
    }
}
