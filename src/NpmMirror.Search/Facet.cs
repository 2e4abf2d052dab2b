using System.Globalization;
using System.Text;

namespace NpmMirror.Search;

/// <summary>
/// Terms of the index that are no words: <c>k:cli</c> for a keyword, <c>d:lodash</c> for a dependency. Only letters, digits and a few marks are in them, any other character is
/// <c>~</c> and its number, so that no text of a stranger becomes two terms or syntax.
/// </summary>
internal static class Facet
{
    /// <summary>Every package has it.</summary>
    internal const string Any = "f:any";

    /// <summary>Of packages in a scope.</summary>
    internal const string Scoped = "f:scoped";

    /// <summary>Of packages whose version is deprecated.</summary>
    internal const string Deprecated = "f:deprecated";

    /// <summary>Of packages whose version is below 1.0.0.</summary>
    internal const string Unstable = "f:unstable";

    /// <summary>No package has it.</summary>
    internal const string None = "f:none";

    // The marks that the tokenizer of the schema takes for letters.
    private const string Marks = "-._@/";
    private const int LengthMax = 300;

    /// <summary>A keyword, in any case.</summary>
    internal static string Keyword(string text) => Term('k', text.ToLowerInvariant());

    /// <summary>A maintainer's account.</summary>
    internal static string Maintainer(string text) => Term('m', text.ToLowerInvariant());

    /// <summary>An author's name or account.</summary>
    internal static string Author(string text) => Term('a', text.ToLowerInvariant());

    /// <summary>A scope without its <c>@</c>.</summary>
    internal static string Scope(string text) => Term('s', text.ToLowerInvariant());

    /// <summary>A dependency: names are case-exact.</summary>
    internal static string Dependency(string name) => Term('d', name);

    /// <summary>A word of the name.</summary>
    internal static string NameWord(string word) => "=" + word;

    private static string Term(char kind, string text)
    {
        var term = new StringBuilder(text.Length + 2).Append(kind).Append(':');
        foreach (var c in text)
        {
            if (char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || Marks.Contains(c, StringComparison.Ordinal) || (c > '\u007f' && !char.IsSurrogate(c)))
            {
                term.Append(c);
            }
            else
            {
                term.Append('~').Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
            }

            if (term.Length > LengthMax)
            {
                break;
            }
        }

        return term.ToString();
    }
}
