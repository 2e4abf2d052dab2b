using System.Globalization;
using System.Text;

namespace NpmMirror;

/// <summary>
/// Makes one line of plain text of strangers' text: names of versions, tags, sequences, reasons, messages of other servers. A terminal that shows
/// it can neither be steered nor deceived: control characters, marks that turn the direction of writing, invisible characters and halves of characters
/// are written as JSON writes them, and line ends and tabs become spaces. JSON stays the same JSON.
/// </summary>
internal static class PlainText
{
    /// <summary>The text; the same string if there is nothing to change.</summary>
    internal static string Of(string text)
    {
        if (text.AsSpan().IndexOfAnyExceptInRange(' ', '~') < 0)
        {
            return text;
        }

        var plain = new StringBuilder(text.Length + 16);
        for (var at = 0; at < text.Length;)
        {
            var isWhole = Rune.TryGetRuneAt(text, at, out var rune);
            var length = isWhole ? rune.Utf16SequenceLength : 1;
            if (text[at] is '\n' or '\r' or '\t')
            {
                plain.Append(' ');
            }
            else if (isWhole && !IsUnseen(rune))
            {
                plain.Append(text, at, length);
            }
            else
            {
                for (var unit = at; unit < at + length; unit++)
                {
                    plain.Append("\\u").Append(((int)text[unit]).ToString("x4", CultureInfo.InvariantCulture));
                }
            }

            at += length;
        }

        return plain.ToString();
    }

    private static bool IsUnseen(Rune rune) => Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
