using NpmMirror.Searching;

namespace NpmMirror.Search;

/// <summary>All terms by which a package is found.</summary>
internal static class Terms
{
    private const int NameWordsMax = 30;
    private const int WordsMax = 120;
    private const int DescriptionMaxChars = 600;
    private const int PeopleMax = 30;

    /// <summary>Of a package, with blanks between.</summary>
    internal static string Of(SearchHit hit, IReadOnlyList<string> dependencies) => string.Join(' ', SetOf(hit, dependencies));

    /// <summary>Of a package.</summary>
    internal static HashSet<string> SetOf(SearchHit hit, IReadOnlyList<string> dependencies)
    {
        var words = new List<string>(48);
        Words.AddTo(words, hit.Name.Value, NameWordsMax, withFiller: true);
        var inName = words.Count;
        if (inName > 1)
        {
            // lodashmerge finds lodash.merge.
            words.AddRange(string.Concat(words.Take(inName)) is { Length: <= 40 } joined && !words.Contains(joined) ? [joined] : []);
            inName = words.Count;
        }

        Words.AddTo(words, Head(hit.Description ?? ""), WordsMax, withFiller: false);
        foreach (var keyword in hit.Keywords)
        {
            Words.AddTo(words, keyword, WordsMax, withFiller: false);
        }

        var terms = new HashSet<string>(words, StringComparer.Ordinal) { Facet.Any };
        terms.UnionWith(words.Take(inName).Select(Facet.NameWord));
        terms.UnionWith(hit.Keywords.Select(Facet.Keyword));
        terms.UnionWith(hit.Maintainers.Take(PeopleMax).Select(person => Facet.Maintainer(person.Name)));
        terms.UnionWith(Authors(hit).Select(Facet.Author));
        terms.UnionWith(dependencies.Select(Facet.Dependency));
        if (hit.Name.Scope is { } scope)
        {
            terms.Add(Facet.Scope(scope));
            terms.Add(Facet.Scoped);
        }

        if (hit.Deprecated is not null)
        {
            terms.Add(Facet.Deprecated);
        }

        if (hit.IsUnstable)
        {
            terms.Add(Facet.Unstable);
        }

        return terms;
    }

    /// <summary>The author's name, and the account of the maintainer with the same address.</summary>
    private static IEnumerable<string> Authors(SearchHit hit)
    {
        if (hit.Author is not { } author)
        {
            return [];
        }

        var account = author.Email is { Length: > 0 } address ? hit.Maintainers.FirstOrDefault(person => string.Equals(person.Email, address, StringComparison.OrdinalIgnoreCase)) : null;
        return account is null ? [author.Name] : [author.Name, account.Name];
    }

    private static ReadOnlySpan<char> Head(string text) => text.AsSpan(0, Math.Min(text.Length, DescriptionMaxChars));
}
