using System.Text;
using System.Text.Json;

namespace NpmMirror.Feeds;

/// <summary>Reads single rows of feeds and lists from their JSON. Rows are strangers' words: nothing they say makes it throw.</summary>
internal static class ChangeRowParser
{
    private static readonly JsonReaderOptions Lenient = new() { CommentHandling = JsonCommentHandling.Disallow, MaxDepth = 256 };

    /// <summary>Reads one row of <c>_changes</c>; null, and the reason, if it is not a row.</summary>
    /// <param name="json">The row.</param>
    /// <param name="previous">Used if the row has no sequence of its own: never ahead of the row's real one.</param>
    /// <param name="problem">Why the result is null.</param>
    internal static ChangeRow? Change(ReadOnlySpan<byte> json, Sequence previous, out string? problem)
    {
        try
        {
            return ReadChange(json, previous, out problem);
        }
        // A lone surrogate in an id is an InvalidOperationException to the reader.
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            problem = exception.Message;
            return null;
        }
    }

    /// <summary>Reads one row of <c>_all_docs</c>; null if it is not a row.</summary>
    internal static ListedPackage? Listed(ReadOnlySpan<byte> json)
    {
        try
        {
            return ReadListed(json);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Reads a value as a sequence: text of a string, else its raw JSON (a number, or an array at some clusters); null for null.</summary>
    internal static Sequence? ReadSequence(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return new Sequence(reader.GetString()!);
        }

        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return json[start] == (byte)'n' ? null : new Sequence(Encoding.UTF8.GetString(json[start..(int)reader.BytesConsumed]));
    }

    private static ChangeRow? ReadChange(ReadOnlySpan<byte> json, Sequence previous, out string? problem)
    {
        Sequence? sequence = null;
        string? id = null, rev = null;
        var isDeleted = false;
        var reader = new Utf8JsonReader(json, Lenient);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            problem = "it is no object";
            return null;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("seq"u8))
            {
                reader.Read();
                sequence = ReadSequence(ref reader, json);
            }
            else if (reader.ValueTextEquals("id"u8))
            {
                reader.Read();
                id = ReadText(ref reader);
            }
            else if (reader.ValueTextEquals("changes"u8))
            {
                reader.Read();
                rev = ReadRev(ref reader);
            }
            else if (reader.ValueTextEquals("deleted"u8))
            {
                reader.Read();
                isDeleted = reader.TokenType == JsonTokenType.True;
                reader.Skip();
            }
            else
            {
                reader.Skip();
            }
        }

        // The reader throws here if anything follows the object.
        reader.Read();
        problem = string.IsNullOrEmpty(id) ? "it has no id" : null;
        return problem is null ? new ChangeRow(sequence ?? previous, id!, rev, isDeleted) : null;
    }

    private static ListedPackage? ReadListed(ReadOnlySpan<byte> json)
    {
        string? id = null, rev = null;
        var isRemoved = false;
        var reader = new Utf8JsonReader(json, Lenient);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return null;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("id"u8))
            {
                reader.Read();
                id = ReadText(ref reader);
            }
            else if (reader.ValueTextEquals("value"u8))
            {
                reader.Read();
                (rev, isRemoved) = ReadValue(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }

        return string.IsNullOrEmpty(id) ? null : new ListedPackage(id, rev) { IsRemoved = isRemoved };
    }

    /// <summary>The revision in a row's <c>value</c>, and whether it is that of a deletion.</summary>
    private static (string? Rev, bool IsRemoved) ReadValue(ref Utf8JsonReader reader)
    {
        string? rev = null;
        var isRemoved = false;
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return (null, false);
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isRev, isDeleted) = (reader.ValueTextEquals("rev"u8), reader.ValueTextEquals("deleted"u8));
            reader.Read();
            rev = isRev && reader.TokenType == JsonTokenType.String ? reader.GetString() : rev;
            isRemoved |= isDeleted && reader.TokenType == JsonTokenType.True;
            reader.Skip();
        }

        return (rev, isRemoved);
    }

    private static string? ReadText(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return reader.GetString();
        }

        reader.Skip();
        return null;
    }

    /// <summary>The first <c>rev</c> in an object or a list of objects.</summary>
    private static string? ReadRev(ref Utf8JsonReader reader)
    {
        string? rev = null;
        if (reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.StartArray))
        {
            return null;
        }

        var end = reader.CurrentDepth;
        while (reader.Read() && reader.CurrentDepth > end)
        {
            if (reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals("rev"u8))
            {
                reader.Read();
                rev ??= reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
            }
        }

        return rev;
    }
}
