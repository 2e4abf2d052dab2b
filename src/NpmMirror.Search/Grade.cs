using NpmMirror.Searching;

namespace NpmMirror.Search;

/// <summary>
/// How early a package stands in every list of the index, before a query is known: by how many depend on it, and among those on which none does by what it tells of
/// itself. A row's id begins with it, so that the first rows of any list are the best, and a query reads no more than them.
/// </summary>
internal static class Grade
{
    /// <summary>The grade of a package on which one depends; from here on names are in the table of well-known ones.</summary>
    internal const int Used = 4;

    /// <summary>The best.</summary>
    internal const int Max = Used + 9;

    private const int SerialBits = 40;

    /// <summary>The most packages that an index ever numbers.</summary>
    internal const long SerialMax = (1L << SerialBits) - 1;

    /// <summary>Of a package.</summary>
    internal static int Of(SearchHit hit, long dependents)
    {
        if (dependents > 0)
        {
            // 1, 4, 16, 64 …
            var grade = Math.Min(Used + (long.Log2(dependents) / 2), Max);
            return (int)(hit.Deprecated is null ? grade : Math.Max(grade - 3, 1));
        }

        return hit.Deprecated is null ? Math.Min((int)(Quality(hit) * Used), Used - 1) : 0;
    }

    /// <summary>The id of a row: ascending ids are descending grades.</summary>
    internal static long Id(int grade, long serial) => ((long)(Max - grade) << SerialBits) | serial;

    /// <summary>The grade of an id.</summary>
    internal static int OfId(long id) => Max - (int)(id >> SerialBits);

    /// <summary>The number that stays with a package.</summary>
    internal static long SerialOf(long id) => id & SerialMax;

    /// <summary>See <see cref="SearchScore.Quality"/>.</summary>
    internal static double Quality(SearchHit hit)
    {
        if (hit.Version is null)
        {
            return 0;
        }

        var quality = (hit.Description is { Length: > 10 } ? 0.3 : 0) + (hit.Keywords.Count > 0 ? 0.1 : 0) + (hit.License is not null ? 0.15 : 0) + (hit.Repository is not null ? 0.2 : 0)
            + (hit.Homepage is not null ? 0.05 : 0) + (hit.IsUnstable ? 0 : 0.2);
        return hit.Deprecated is null ? quality : quality / 4;
    }

    /// <summary>See <see cref="SearchScore.Popularity"/>: 100,000 dependents are 1.</summary>
    internal static double Popularity(long dependents) => Math.Min(Math.Log10(1 + dependents) / 5, 1);

    /// <summary>See <see cref="SearchScore.Maintenance"/>: half after two years.</summary>
    internal static double Maintenance(DateTimeOffset? publishedAt, DateTimeOffset now) =>
        publishedAt is { } at ? 1 / (1 + (Math.Max((now - at).TotalDays, 0) / 730)) : 0;
}
