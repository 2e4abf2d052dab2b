using System.Buffers;
using System.Text;

namespace NpmMirror.Search;

/// <summary>
/// The words of texts, as the index and queries both see them: runs of letters and digits in lower case; of scripts without blanks each character is one. What a
/// stranger writes has no other meaning, and everything has a bound.
/// </summary>
internal static class Words
{
    private const int LengthMax = 40;

    /// <summary>Words that nearly every description has; in names they count.</summary>
    private static readonly HashSet<string> Filler = new(["a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "in", "is", "it", "of", "on", "or", "that", "the", "this", "to", "with", "you", "your"], StringComparer.Ordinal);

    /// <summary>Whether a word says nothing outside of names.</summary>
    internal static bool IsFiller(string word) => Filler.Contains(word);

    /// <summary>Adds the words of a text to a list, at most so many in all, each once.</summary>
    internal static void AddTo(ICollection<string> words, ReadOnlySpan<char> text, int countMax, bool withFiller)
    {
        Span<char> word = stackalloc char[LengthMax];
        var length = 0;
        while (!text.IsEmpty && words.Count < countMax)
        {
            var isRune = Rune.DecodeFromUtf16(text, out var rune, out var consumed) == OperationStatus.Done;
            if (!isRune || !Rune.IsLetterOrDigit(rune))
            {
                End(word, ref length);
            }
            else if (StandsAlone(rune))
            {
                End(word, ref length);
                length = rune.EncodeToUtf16(word);
                End(word, ref length);
            }
            else if (length + rune.Utf16SequenceLength <= LengthMax)
            {
                length += Rune.ToLowerInvariant(rune).EncodeToUtf16(word[length..]);
            }

            text = text[consumed..];
        }

        End(word, ref length);

        void End(ReadOnlySpan<char> letters, ref int count)
        {
            if (count > 0 && words.Count < countMax && new string(letters[..count]) is var found && (withFiller || !Filler.Contains(found)) && !words.Contains(found))
            {
                words.Add(found);
            }

            count = 0;
        }
    }

    private static bool StandsAlone(Rune rune) => rune.Value is (>= 0x3040 and <= 0x30FF) or (>= 0x3400 and <= 0x9FFF) or (>= 0xAC00 and <= 0xD7AF) or (>= 0x20000 and <= 0x3FFFF);
}
