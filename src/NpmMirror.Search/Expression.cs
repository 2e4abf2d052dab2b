namespace NpmMirror.Search;

/// <summary>A query in the language of the full-text table. Each term is quoted, and holds no quotes.</summary>
internal static class Expression
{
    /// <summary>Packages with all words, anywhere; null if the text has signs only, by which names alone are found.</summary>
    internal static string? Anywhere(QueryText query)
    {
        if (query.Words.Count == 0 && query.Required.Count == 0 && query.Name.Length > 0)
        {
            return null;
        }

        // If there are only words that descriptions are not found by, names are.
        var words = query.Words.Where(word => !Words.IsFiller(word)).ToList();
        return words.Count > 0 || query.Words.Count == 0 ? Of(words, query) : InName(query);
    }

    /// <summary>Packages with all words in their names; null if the query has no words.</summary>
    internal static string? InName(QueryText query) => query.Words.Count == 0 ? null : Of(query.Words.Select(Facet.NameWord), query);

    /// <summary>Packages that depend on one.</summary>
    internal static string Dependents(PackageName package) => Quoted(Facet.Dependency(package.Value));

    private static string Of(IEnumerable<string> words, QueryText query)
    {
        List<string> all = [.. words.Select(Quoted), .. query.Required.Select(Any)];
        var required = string.Join(" AND ", all.Count > 0 ? all : [Quoted(Facet.Any)]);
        return query.Excluded.Count == 0 ? required : $"({required}) NOT {Any(query.Excluded)}";
    }

    private static string Any(IReadOnlyList<string> terms) => $"({string.Join(" OR ", terms.Select(Quoted))})";

    private static string Quoted(string term) => $"\"{term.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
