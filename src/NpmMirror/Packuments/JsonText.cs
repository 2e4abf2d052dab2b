using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>
/// JSON texts as JavaScript reads them: half a surrogate pair stays half a pair (in .NET's readers it is an error), and bytes that are
/// no UTF-8 become U+FFFD.
/// </summary>
internal static class JsonText
{
    /// <summary>How deep a document may nest; JavaScript has no limit, but nothing real comes near.</summary>
    public const int DepthMax = 1_000;

    /// <summary>The longest text that is taken for a name, version, tag, rev, URL or hash. Decoding megabytes of invalid UTF-8 takes seconds.</summary>
    public const int WordSizeMaxBytes = 64 * 1024;

    /// <summary>The options of every reader of the upstream's bytes.</summary>
    public static JsonReaderOptions ReaderOptions => new() { MaxDepth = DepthMax };

    /// <summary>The text of the reader's string or property name.</summary>
    public static string Read(ref Utf8JsonReader reader) =>
        reader.ValueIsEscaped ? Unescape(reader.ValueSpan) : Encoding.UTF8.GetString(reader.ValueSpan);

    /// <summary>The text of a string in a document, quotes included in the slice.</summary>
    public static string Read(ReadOnlySpan<byte> quoted) => Decode(quoted[1..^1]);

    /// <summary>The text of a value that is a string of a sensible length, else null.</summary>
    public static string? ReadWord(ReadOnlySpan<byte> value) =>
        value.Length is > 1 and <= WordSizeMaxBytes && value[0] == '"' ? Read(value) : null;

    /// <summary>The text of a string or property name without its quotes, which may hold escapes.</summary>
    public static string Decode(ReadOnlySpan<byte> inner) => inner.Contains((byte)'\\') ? Unescape(inner) : Encoding.UTF8.GetString(inner);

    /// <summary>True when the reader's property name is <paramref name="name"/> (ASCII), however it is escaped.</summary>
    public static bool Is(ref Utf8JsonReader reader, ReadOnlySpan<byte> name) =>
        reader.ValueIsEscaped ? IsEscaped(reader.ValueSpan, name) : reader.ValueSpan.SequenceEqual(name);

    /// <summary>The same of a name without its quotes.</summary>
    public static bool Is(ReadOnlySpan<byte> inner, ReadOnlySpan<byte> name) => IsEscaped(inner, name);

    /// <summary>Undoes the escapes of a string that a reader has already found well formed.</summary>
    public static string Unescape(ReadOnlySpan<byte> escaped)
    {
        // No escape or UTF-8 sequence gives more UTF-16 units than it has bytes.
        var buffer = ArrayPool<char>.Shared.Rent(escaped.Length);
        try
        {
            var length = 0;
            while (escaped.IndexOf((byte)'\\') is var backslash and >= 0)
            {
                length += Encoding.UTF8.GetChars(escaped[..backslash], buffer.AsSpan(length));
                buffer[length++] = UnescapeOne(escaped[backslash..], out var consumed);
                escaped = escaped[(backslash + consumed)..];
            }

            length += Encoding.UTF8.GetChars(escaped, buffer.AsSpan(length));
            return new string(buffer, 0, length);
        }
        finally
        {
            ArrayPool<char>.Shared.Return(buffer);
        }
    }

    /// <summary>Writes a string with its quotes. Half a surrogate pair is written as an escape: UTF-8 cannot hold it.</summary>
    public static void Write(ReadOnlySpan<char> text, IBufferWriter<byte> output)
    {
        Span<byte> utf8 = stackalloc byte[6];
        output.Write("\""u8);
        while (!text.IsEmpty)
        {
            var plain = PlainLength(text);
            if (plain > 0)
            {
                Encoding.UTF8.GetBytes(text[..plain], output);
                text = text[plain..];
                continue;
            }

            var c = text[0];
            if (c is '"' or '\\')
            {
                utf8[0] = (byte)'\\';
                utf8[1] = (byte)c;
                output.Write(utf8[..2]);
            }
            else
            {
                "\\u"u8.CopyTo(utf8);
                ((int)c).TryFormat(utf8[2..], out _, "x4", CultureInfo.InvariantCulture);
                output.Write(utf8);
            }

            text = text[1..];
        }

        output.Write("\""u8);
    }

    private static bool IsEscaped(ReadOnlySpan<byte> escaped, ReadOnlySpan<byte> name)
    {
        foreach (var expected in name)
        {
            if (escaped.IsEmpty)
            {
                return false;
            }

            var consumed = 1;
            var actual = escaped[0] == '\\' ? UnescapeOne(escaped, out consumed) : (char)escaped[0];
            if (actual != expected)
            {
                return false;
            }

            escaped = escaped[consumed..];
        }

        return escaped.IsEmpty;
    }

    private static int PlainLength(ReadOnlySpan<char> text)
    {
        var i = 0;
        while (i < text.Length && text[i] is >= ' ' and not ('"' or '\\'))
        {
            if (!char.IsSurrogate(text[i]))
            {
                i++;
            }
            else if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]))
            {
                i += 2;
            }
            else
            {
                break;
            }
        }

        return i;
    }

    private static char UnescapeOne(ReadOnlySpan<byte> escape, out int consumed)
    {
        consumed = 2;
        switch (escape[1])
        {
            case (byte)'b': return '\b';
            case (byte)'f': return '\f';
            case (byte)'n': return '\n';
            case (byte)'r': return '\r';
            case (byte)'t': return '\t';
            case (byte)'u':
                consumed = 6;
                return (char)ushort.Parse(escape.Slice(2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            default: return (char)escape[1];
        }
    }
}
