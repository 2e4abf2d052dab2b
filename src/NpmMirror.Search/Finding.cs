using NpmMirror.Searching;

namespace NpmMirror.Search;

/// <summary>
/// Answers one query: packages of just that name, then those whose names begin with it, then those with all words in their names, then those with the words anywhere; among
/// equally good matches by the weights. Only so many of each kind are compared: the first by grade. After them the rest comes in the order of the grades.
/// </summary>
internal sealed class Finding(SearchSession session, QueryText query, SearchWeights weights, DateTimeOffset now)
{
    /// <summary>Counting more than this takes longer than a client waits.</summary>
    internal const int CountMax = 50_000;

    private const int InNameMax = 300;
    private const int AnywhereMax = 500;

    private readonly string? _anywhere = Expression.Anywhere(query);

    /// <summary>A page.</summary>
    internal SearchAnswer Run(int from, int size)
    {
        if (query.Package is { } package)
        {
            return Page([.. NameMatches.Exact(session, package).Take(1).Where(id => query.Passes(Hits.TermsOf(session, id))).Select(id => new Match(id, MatchKind.Exact))], 1, true, from, size);
        }

        List<long> anywhere = _anywhere is null ? [] : [.. Rows(_anywhere, after: long.MinValue).Take(AnywhereMax)];
        // All of them, or the first by grade.
        var isAll = anywhere.Count < AnywhereMax;
        List<long> inName = isAll && anywhere.Count == 0 || Expression.InName(query) is not { } named ? [] : [.. Rows(named, after: long.MinValue).Take(InNameMax)];
        var byName = ByName(out var others);
        var matches = new OrderedDictionary<long, MatchKind>();
        foreach (var match in byName)
        {
            matches.TryAdd(match.Id, match.Kind);
        }

        foreach (var id in inName)
        {
            matches.TryAdd(id, MatchKind.InName);
        }

        foreach (var id in anywhere)
        {
            matches.TryAdd(id, MatchKind.Anywhere);
        }

        var counted = isAll ? anywhere.Count : CountTo(_anywhere!);
        var ranked = Ranked(matches, from + size);
        return from + size <= matches.Count || isAll
            ? Page(ranked, counted + others, isAll || counted < CountMax, from, size)
            : Page(WithRest(ranked, matches, anywhere[^1], from, size), counted + others, counted < CountMax, from, size);
    }

    /// <summary>Matches by name, and how many of them have not the words: those are counted beside the others.</summary>
    private List<Match> ByName(out int withoutWords)
    {
        withoutWords = 0;
        var matches = new List<Match>();
        if (query.Name.Length == 0)
        {
            return matches;
        }

        var exact = NameMatches.Exact(session, query.Name).Select(id => new Match(id, query.BoostsExact ? MatchKind.Exact : MatchKind.Beginning));
        var beginning = NameMatches.Beginning(session, query.Name).Select(id => new Match(id, MatchKind.Beginning));
        foreach (var match in exact.Concat(beginning).DistinctBy(match => match.Id))
        {
            var terms = Hits.TermsOf(session, match.Id);
            if (query.Passes(terms))
            {
                matches.Add(match);
                withoutWords += query.HasWords(terms) ? 0 : 1;
            }
        }

        return matches;
    }

    /// <summary>The matches in their order, at least as many as a page needs: kinds after that need no comparing.</summary>
    private List<Match> Ranked(OrderedDictionary<long, MatchKind> matches, int needed)
    {
        var ranked = new List<Match>(matches.Count);
        foreach (var kind in matches.GroupBy(pair => pair.Value).OrderByDescending(group => group.Key))
        {
            ranked.AddRange(ranked.Count >= needed
                ? kind.Select(pair => new Match(pair.Key, kind.Key))
                : kind.Select(pair => new Match(pair.Key, kind.Key, RankOf(pair.Key, kind.Key))).OrderByDescending(match => match.Rank).ThenBy(match => match.Id));
        }

        return ranked;
    }

    /// <summary>Goes on after the compared ones.</summary>
    private List<Match> WithRest(List<Match> ranked, OrderedDictionary<long, MatchKind> compared, long after, int from, int size)
    {
        foreach (var id in Rows(_anywhere!, after).Where(id => !compared.ContainsKey(id)).Take(from + size - ranked.Count))
        {
            ranked.Add(new Match(id, MatchKind.Anywhere));
        }

        return ranked;
    }

    private SearchAnswer Page(List<Match> matches, long total, bool isExact, int from, int size)
    {
        var hits = new List<SearchHit>();
        foreach (var match in matches.Skip(from).Take(size))
        {
            if (Hits.Read(session, match.Id, now) is { } hit)
            {
                hits.Add(hit with { Rank = match.Rank > 0 ? match.Rank : RankOf(match.Id, match.Kind) });
            }
        }

        return new SearchAnswer(hits, query.Package is null ? total : matches.Count) { IsTotalExact = isExact };
    }

    private IEnumerable<long> Rows(string expression, long after)
    {
        var statement = session.Prepare("SELECT rowid FROM words WHERE words MATCH ? AND rowid > ?").Bind(1, expression).Bind(2, after);
        try
        {
            while (statement.Step())
            {
                yield return statement.Integer(0);
            }
        }
        finally
        {
            statement.Reset();
        }
    }

    private long CountTo(string expression) =>
        session.Prepare("SELECT count(*) FROM (SELECT rowid FROM words WHERE words MATCH ? LIMIT ?)").Bind(1, expression).Bind(2, CountMax).FirstInteger() ?? 0;

    private double RankOf(long id, MatchKind kind)
    {
        var marks = Marks.Of(session.Prepare("SELECT marks FROM packages WHERE id = ?").Bind(1, id).FirstInteger() ?? 0);
        var score = weights.Of(new SearchScore(marks.Quality, (double)Math.Max(Grade.OfId(id) - Grade.Used + 1, 0) / (Grade.Max - Grade.Used + 1), Grade.Maintenance(marks.PublishedAt, now)));
        return (int)kind + (marks.IsDeprecated ? score / 4 : score);
    }

    /// <summary>How a package matches, the better the higher.</summary>
    private enum MatchKind
    {
        Anywhere = 1,
        InName,
        Beginning,
        Exact,
    }

    private readonly record struct Match(long Id, MatchKind Kind, double Rank = 0);
}
