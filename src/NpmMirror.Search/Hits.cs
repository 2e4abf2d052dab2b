using NpmMirror.Searching;

namespace NpmMirror.Search;

/// <summary>Reads what an answer tells of packages.</summary>
internal static class Hits
{
    /// <summary>The package of an id; null if there is none.</summary>
    internal static SearchHit? Read(SearchSession session, long id, DateTimeOffset now)
    {
        var statement = session.Prepare("SELECT packages.name, contents.bytes FROM packages JOIN contents ON contents.id = packages.id WHERE packages.id = ?").Bind(1, id);
        if (!statement.Step())
        {
            return null;
        }

        var isName = PackageName.TryParse(statement.Text(0), out var name);
        var stored = StoredPackage.Read(statement.Bytes(1));
        statement.Reset();
        if (!isName)
        {
            return null;
        }

        var hit = stored.ToHit(name);
        var dependents = session.Prepare("SELECT count FROM dependents WHERE name = ?").Bind(1, name.Value).FirstInteger() ?? 0;
        return hit with { Dependents = dependents, Score = new SearchScore(Grade.Quality(hit), Grade.Popularity(dependents), Grade.Maintenance(hit.PublishedAt, now)) };
    }

    /// <summary>The terms of an id's package. For a few of them this is faster than the full-text table, which opens all its lists for each.</summary>
    internal static HashSet<string> TermsOf(SearchSession session, long id)
    {
        var statement = session.Prepare("SELECT packages.name, contents.bytes FROM packages JOIN contents ON contents.id = packages.id WHERE packages.id = ?").Bind(1, id);
        if (!statement.Step())
        {
            return [];
        }

        var isName = PackageName.TryParse(statement.Text(0), out var name);
        var stored = StoredPackage.Read(statement.Bytes(1));
        statement.Reset();
        return isName ? Terms.SetOf(stored.ToHit(name), stored.Dependencies ?? []) : [];
    }

    /// <summary>See <see cref="IPackageSearch.BrowseAsync"/>.</summary>
    internal static SearchAnswer Browse(SearchSession session, string prefix, string after, int size, DateTimeOffset now)
    {
        var ids = new List<long>(size);
        var end = prefix + "\U0010FFFF";
        var statement = session.Prepare("SELECT id FROM names WHERE name >= ? AND name > ? AND name < ? ORDER BY name LIMIT ?").Bind(1, prefix).Bind(2, after).Bind(3, end).Bind(4, size);
        while (statement.Step())
        {
            ids.Add(statement.Integer(0));
        }

        var total = prefix.Length == 0
            ? SearchSchema.ReadNumber(session, "packages")
            : session.Prepare("SELECT count(*) FROM (SELECT 1 FROM names WHERE name >= ? AND name < ? LIMIT ?)").Bind(1, prefix).Bind(2, end).Bind(3, Finding.CountMax).FirstInteger() ?? 0;
        return new SearchAnswer([.. ids.Select(id => Read(session, id, now)).OfType<SearchHit>()], total) { IsTotalExact = prefix.Length == 0 || total < Finding.CountMax };
    }

    /// <summary>See <see cref="IPackageSearch.ListDependentsAsync"/>.</summary>
    internal static SearchAnswer Dependents(SearchSession session, PackageName package, int from, int size, DateTimeOffset now)
    {
        var ids = new List<long>(size);
        var statement = session.Prepare("SELECT rowid FROM words WHERE words MATCH ? LIMIT ? OFFSET ?").Bind(1, Expression.Dependents(package)).Bind(2, size).Bind(3, from);
        while (statement.Step())
        {
            ids.Add(statement.Integer(0));
        }

        var total = session.Prepare("SELECT count FROM dependents WHERE name = ?").Bind(1, package.Value).FirstInteger() ?? 0;
        return new SearchAnswer([.. ids.Select(id => Read(session, id, now)).OfType<SearchHit>()], total);
    }
}
