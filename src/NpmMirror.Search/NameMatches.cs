namespace NpmMirror.Search;

/// <summary>Packages whose names are, or begin with, a text. Short beginnings are those of many names: the best known ones are looked at, and a bounded number of others.</summary>
internal static class NameMatches
{
    private const int CountMax = 100;

    // Greater than any character of a name.
    private const string Last = "\U0010FFFF";

    /// <summary>Packages of just that name: as it is written, in lower case, or with a hyphen or nothing for each blank.</summary>
    internal static List<long> Exact(SearchSession session, string text)
    {
        var ids = new List<long>();
        var lower = text.ToLowerInvariant();
        foreach (var name in new[] { text, lower, lower.Replace(' ', '-'), lower.Replace(" ", "", StringComparison.Ordinal) }.Distinct(StringComparer.Ordinal))
        {
            if (session.Prepare("SELECT id FROM names WHERE name = ?").Bind(1, name).FirstInteger() is { } id && !ids.Contains(id))
            {
                ids.Add(id);
            }
        }

        return ids;
    }

    /// <summary>Packages whose names begin with it, the better graded first.</summary>
    internal static List<long> Beginning(SearchSession session, string text)
    {
        var key = text.ToLowerInvariant().Replace(' ', '-');
        var ids = new HashSet<long>();
        var known = session.Prepare("SELECT id FROM known WHERE grade = ? AND key >= ? AND key < ? LIMIT ?");
        for (var grade = Grade.Max; grade >= 0 && ids.Count < CountMax; grade--)
        {
            Take(known.Bind(1, grade).Bind(2, key).Bind(3, key + Last).Bind(4, CountMax), ids);
        }

        if (ids.Count < CountMax)
        {
            Take(session.Prepare("SELECT id FROM names WHERE name >= ? AND name < ? LIMIT ?").Bind(1, key).Bind(2, key + Last).Bind(3, CountMax), ids);
        }

        return [.. ids];
    }

    private static void Take(Statement statement, HashSet<long> ids)
    {
        while (statement.Step())
        {
            if (ids.Count < CountMax)
            {
                ids.Add(statement.Integer(0));
            }
        }
    }
}
