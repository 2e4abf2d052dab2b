namespace NpmMirror.Searching;

/// <summary>A query as <c>/-/v1/search</c> takes it.</summary>
public sealed record SearchQuery
{
    /// <summary>How many hits a page has if the client does not say.</summary>
    public const int SizeUsual = 20;

    /// <summary>The most hits in a page.</summary>
    public const int SizeMax = 250;

    /// <summary>The most characters of <see cref="Text"/> that count.</summary>
    public const int TextMaxChars = 1_024;

    /// <summary>What is looked for: words, and qualifiers such as <c>keywords:a,b</c>, <c>scope:name</c> or <c>not:unstable</c>. Any text of a stranger.</summary>
    public required string Text { get; init; }

    /// <summary>The most hits; above <see cref="SizeMax"/> that is taken.</summary>
    public int Size { get; init; } = SizeUsual;

    /// <summary>How many hits to leave out at the beginning.</summary>
    public int From { get; init; }

    /// <summary>How much each estimate counts among equally good matches.</summary>
    public SearchWeights Weights { get; init; } = SearchWeights.Usual;
}

/// <summary>How much each of <see cref="SearchScore"/>'s estimates counts, 0 for not at all.</summary>
public readonly record struct SearchWeights(double Quality, double Popularity, double Maintenance)
{
    /// <summary>Those that npm's registry takes if the client does not say.</summary>
    public static SearchWeights Usual => new(0.65, 0.98, 0.5);

    /// <summary>The weighted mean of a score, 0 to 1.</summary>
    public double Of(SearchScore score)
    {
        var sum = Quality + Popularity + Maintenance;
        return sum > 0 ? ((Quality * score.Quality) + (Popularity * score.Popularity) + (Maintenance * score.Maintenance)) / sum : 0;
    }
}
