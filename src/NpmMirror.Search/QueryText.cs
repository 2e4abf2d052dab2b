using System.Globalization;
using NpmMirror.Searching;

namespace NpmMirror.Search;

/// <summary>A query's text, taken apart into words and qualifiers. It is a stranger's: what is no qualifier is words, and there are limits to both.</summary>
internal sealed record QueryText
{
    private const int PartsMax = 24;
    private const int WordsMax = 10;
    private const int ValuesMax = 20;

    /// <summary>The text without qualifiers, for names; blanks are single.</summary>
    internal string Name { get; private init; } = "";

    /// <summary>The words that a package must have, in its name or elsewhere.</summary>
    internal IReadOnlyList<string> Words { get; private init; } = [];

    /// <summary>Terms that a package must have: of each list one.</summary>
    internal IReadOnlyList<IReadOnlyList<string>> Required { get; private init; } = [];

    /// <summary>Terms that a package must not have.</summary>
    internal IReadOnlyList<string> Excluded { get; private init; } = [];

    /// <summary>Just this package, or one of no valid name: none.</summary>
    internal string? Package { get; private init; }

    /// <summary>Whether a package of just that name comes first.</summary>
    internal bool BoostsExact { get; private init; } = true;

    /// <summary>The weights that the text itself sets, or null.</summary>
    internal SearchWeights? Weights { get; private init; }

    /// <summary>Whether the qualifiers let a package of these terms pass.</summary>
    internal bool Passes(HashSet<string> terms) => Required.All(any => any.Any(terms.Contains)) && !Excluded.Any(terms.Contains);

    /// <summary>Whether a package of these terms, which passes, also has the words: as <see cref="Expression.Anywhere"/> asks for them.</summary>
    internal bool HasWords(HashSet<string> terms)
    {
        var words = Words.Where(word => !Search.Words.IsFiller(word)).ToList();
        return words.Count > 0 ? words.TrueForAll(terms.Contains) : Words.Count > 0 ? Words.All(word => terms.Contains(Facet.NameWord(word))) : Required.Count > 0 || Name.Length == 0;
    }

    /// <summary>Reads it.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.BadInput"/>: it asks for nothing.</exception>
    internal static QueryText Parse(SearchQuery query)
    {
        var text = query.Text.Length > SearchQuery.TextMaxChars ? query.Text[..SearchQuery.TextMaxChars] : query.Text;
        var reading = new Reading(query.Weights);
        foreach (var part in Split(text).Take(PartsMax))
        {
            reading.Take(part);
        }

        return reading.End() ?? throw new MirrorException(MirrorFault.BadInput, "The search has no text; give words or qualifiers, for example text=keywords:cli.");
    }

    /// <summary>Parts between blanks; in quotes after a colon blanks count.</summary>
    private static IEnumerable<string> Split(string text)
    {
        for (var at = 0; at < text.Length;)
        {
            if (char.IsWhiteSpace(text[at]) || char.IsControl(text[at]))
            {
                at++;
                continue;
            }

            var start = at;
            var isQuoted = false;
            for (; at < text.Length && (isQuoted || !(char.IsWhiteSpace(text[at]) || char.IsControl(text[at]))); at++)
            {
                isQuoted = text[at] == '"' ? !isQuoted && at > start && text[at - 1] == ':' : isQuoted;
            }

            yield return text[start..at];
        }
    }

    private sealed class Reading(SearchWeights weights)
    {
        private readonly List<string> _plain = [];
        private readonly List<IReadOnlyList<string>> _required = [];
        private readonly List<string> _excluded = [];
        private string? _package;
        private bool _boostsExact = true;
        private bool _hasQualifier;
        private SearchWeights _weights = weights;

        internal void Take(string part)
        {
            var colon = part.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || colon == part.Length - 1 || !TryQualifier(part[..colon].ToLowerInvariant(), part[(colon + 1)..].Trim('"')))
            {
                _plain.Add(part);
            }
            else
            {
                _hasQualifier = true;
            }
        }

        internal QueryText? End()
        {
            var name = string.Join(' ', _plain);
            var text = name;
            if (name.StartsWith('@') && _plain.Count == 1 && name.IndexOf('/', StringComparison.Ordinal) is var slash && (slash > 1 || name.Length == 1))
            {
                _required.Add([slash > 1 ? Facet.Scope(name[1..slash]) : Facet.Scoped]);
                text = slash > 1 ? name[(slash + 1)..] : "";
            }

            var words = new List<string>();
            Search.Words.AddTo(words, text, WordsMax, withFiller: true);
            return _plain.Count == 0 && !_hasQualifier ? null : new QueryText
            {
                Name = name,
                Words = words,
                Required = _required,
                Excluded = _excluded,
                Package = _package,
                BoostsExact = _boostsExact,
                Weights = _weights,
            };
        }

        private bool TryQualifier(string name, string value)
        {
            switch (name)
            {
                case "author": _required.Add([Facet.Author(value)]); return true;
                case "maintainer": _required.Add([Facet.Maintainer(value)]); return true;
                case "scope": _required.Add([Facet.Scope(value.TrimStart('@').TrimEnd('/'))]); return true;
                case "package": _package = value; return true;
                case "keyword" or "keywords": TakeKeywords(value); return true;
                case "is": _required.Add([FlagOf(value) ?? Facet.Any]); return true;
                case "not": _excluded.AddRange(FlagOf(value) is { } flag ? [flag] : []); return true;
                case "boost-exact": _boostsExact = !value.Equals("false", StringComparison.OrdinalIgnoreCase); return true;
                case "quality-weight" when TryWeight(value, out var weight): _weights = _weights with { Quality = weight }; return true;
                case "popularity-weight" when TryWeight(value, out var weight): _weights = _weights with { Popularity = weight }; return true;
                case "maintenance-weight" when TryWeight(value, out var weight): _weights = _weights with { Maintenance = weight }; return true;
                default: return false;
            }
        }

        /// <summary>Commas are "or", a plus is "and", a minus before a word is "not".</summary>
        private void TakeKeywords(string value)
        {
            var any = new List<string>();
            foreach (var item in value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Take(ValuesMax))
            {
                if (item.StartsWith('-') && item.Length > 1)
                {
                    _excluded.Add(Facet.Keyword(item[1..]));
                    continue;
                }

                var all = item.Split('+', StringSplitOptions.RemoveEmptyEntries);
                if (all.Length > 1)
                {
                    _required.AddRange(all.Take(ValuesMax).Select(word => (IReadOnlyList<string>)[Facet.Keyword(word)]));
                }
                else
                {
                    any.Add(Facet.Keyword(item));
                }
            }

            if (any.Count > 0)
            {
                _required.Add(any);
            }
        }

        /// <summary>Null for a flag that this mirror has not. It holds no advisories: no package is known to be insecure.</summary>
        private static string? FlagOf(string value) => value.ToLowerInvariant() switch
        {
            "deprecated" => Facet.Deprecated,
            "unstable" => Facet.Unstable,
            "insecure" => Facet.None,
            _ => null,
        };

        private static bool TryWeight(string value, out double weight) =>
            double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out weight) && weight is >= 0 and <= 100;
    }
}
