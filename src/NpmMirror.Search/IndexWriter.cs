using NpmMirror.Searching;

namespace NpmMirror.Search;

/// <summary>Writes packages into the tables. All of it runs inside a transaction of the caller.</summary>
internal sealed class IndexWriter(SearchSession session)
{
    private readonly List<(long Id, PreparedPackage Package)> _rows = [];

    /// <summary>Adds packages of which none is in the index, by ascending name. Their dependents are counted by <see cref="GradeNext"/>, when all are there.</summary>
    internal void Add(IReadOnlyList<PreparedPackage> packages)
    {
        var serial = SearchSchema.ReadNumber(session, "serial");
        var dependencies = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var package in packages)
        {
            if (package.Content is not null)
            {
                _rows.Add((Grade.Id(Grade.Of(package.Hit!, 0), ++serial), package));
                Count(dependencies, package.Dependencies, 1);
            }
        }

        Apply(dependencies);
        SearchSchema.WriteNumber(session, "serial", serial);
        CountPackages(_rows.Count);
        WriteRows();
    }

    /// <summary>Adds, replaces and takes out packages.</summary>
    internal void Change(IReadOnlyList<PreparedPackage> packages)
    {
        var dependencies = new Dictionary<string, long>(StringComparer.Ordinal);
        var written = new List<(PreparedPackage Package, long? OldId)>();
        var added = 0;
        foreach (var package in packages)
        {
            var oldId = FindId(package.Name.Value);
            if (oldId is { } id)
            {
                var old = ReadContent(id);
                if (package.Content is { } content && old.AsSpan().SequenceEqual(content))
                {
                    continue;
                }

                Count(dependencies, StoredPackage.Read(old).Dependencies ?? [], -1);
            }

            if (package.Content is not null)
            {
                Count(dependencies, package.Dependencies, 1);
                written.Add((package, oldId));
                added += oldId is null ? 1 : 0;
            }
            else if (oldId is { } gone)
            {
                Remove(gone, package.Name);
                added--;
            }
        }

        Apply(dependencies);
        var serial = SearchSchema.ReadNumber(session, "serial");
        foreach (var (package, oldId) in written)
        {
            if (oldId is { } id)
            {
                Remove(id, package.Name);
            }

            _rows.Add((Grade.Id(Grade.Of(package.Hit!, CountDependents(package.Name.Value)), oldId is { } known ? Grade.SerialOf(known) : ++serial), package));
        }

        SearchSchema.WriteNumber(session, "serial", serial);
        CountPackages(added);
        WriteRows();
        foreach (var name in dependencies.Keys)
        {
            Regrade(name, isNew: false);
        }

        WriteRows();
    }

    /// <summary>Gives packages the grade that their dependents make, from a name on; returns the last name, or null when all are done.</summary>
    internal string? GradeNext(string after, int countMax)
    {
        var names = new List<string>(countMax);
        var statement = session.Prepare("SELECT name FROM dependents WHERE name > ? ORDER BY name LIMIT ?").Bind(1, after).Bind(2, countMax);
        while (statement.Step())
        {
            names.Add(statement.Text(0));
        }

        foreach (var name in names)
        {
            Regrade(name, isNew: true);
        }

        WriteRows();
        return names.Count < countMax ? null : names[^1];
    }

    private void Regrade(string name, bool isNew)
    {
        if (FindId(name) is not { } id)
        {
            return;
        }

        var (now, count) = (Grade.OfId(id), CountDependents(name));
        // Most counts change no grade; the package itself is read only where one may.
        var marks = ReadMarks(id);
        if (count > 0 && !marks.IsDeprecated && Grade.Of(Undeprecated, count) is var grade && (grade == now || (!isNew && grade < now && Grade.Of(Undeprecated, count + (count / 4) + 1) >= now)))
        {
            return;
        }

        var content = ReadContent(id);
        var stored = StoredPackage.Read(content);
        var package = PackageName.Parse(name);
        var hit = stored.ToHit(package);
        if (Grade.Of(hit, count) is var right && right != now)
        {
            Remove(id, package);
            _rows.Add((Grade.Id(right, Grade.SerialOf(id)), new PreparedPackage(package, hit, stored.Dependencies ?? [], content, Terms.Of(hit, stored.Dependencies ?? []))));
        }
    }

    private static readonly SearchHit Undeprecated = new() { Name = default };

    private static void Count(Dictionary<string, long> counts, IReadOnlyList<string> names, int change)
    {
        foreach (var name in names)
        {
            counts[name] = counts.GetValueOrDefault(name) + change;
        }
    }

    private void Apply(Dictionary<string, long> changes)
    {
        var statement = session.Prepare("INSERT INTO dependents VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET count = max(count + ?2, 0)");
        foreach (var (name, change) in changes.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            if (change != 0)
            {
                statement.Bind(1, name).Bind(2, change).Run();
            }
        }
    }

    private void CountPackages(long change) => SearchSchema.WriteNumber(session, "packages", SearchSchema.ReadNumber(session, "packages") + change);

    private long? FindId(string name) => session.Prepare("SELECT id FROM names WHERE name = ?").Bind(1, name).FirstInteger();

    private long CountDependents(string name) => session.Prepare("SELECT count FROM dependents WHERE name = ?").Bind(1, name).FirstInteger() ?? 0;

    private Marks ReadMarks(long id) => Marks.Of(session.Prepare("SELECT marks FROM packages WHERE id = ?").Bind(1, id).FirstInteger() ?? 0);

    private byte[] ReadContent(long id)
    {
        var statement = session.Prepare("SELECT bytes FROM contents WHERE id = ?").Bind(1, id);
        var bytes = statement.Step() ? statement.Bytes(0).ToArray() : "{}"u8.ToArray();
        statement.Reset();
        return bytes;
    }

    private void Remove(long id, PackageName name)
    {
        session.Prepare("DELETE FROM words WHERE rowid = ?").Bind(1, id).Run();
        session.Prepare("DELETE FROM packages WHERE id = ?").Bind(1, id).Run();
        session.Prepare("DELETE FROM contents WHERE id = ?").Bind(1, id).Run();
        session.Prepare("DELETE FROM names WHERE name = ?").Bind(1, name.Value).Run();
        foreach (var key in KnownKeys(name, Grade.OfId(id)))
        {
            session.Prepare("DELETE FROM known WHERE grade = ? AND key = ? AND id = ?").Bind(1, Grade.OfId(id)).Bind(2, key).Bind(3, id).Run();
        }
    }

    /// <summary>Writes the rows that were made, by ascending id: full-text tables take them much faster so.</summary>
    private void WriteRows()
    {
        _rows.Sort((left, right) => left.Id.CompareTo(right.Id));
        var words = session.Prepare("INSERT INTO words (rowid, terms) VALUES (?, ?)");
        var packages = session.Prepare("INSERT INTO packages VALUES (?, ?, ?)");
        var contents = session.Prepare("INSERT INTO contents VALUES (?, ?)");
        foreach (var (id, package) in _rows)
        {
            words.Bind(1, id).Bind(2, package.Terms!).Run();
            packages.Bind(1, id).Bind(2, package.Name.Value).Bind(3, Marks.Of(package.Hit!).ToNumber()).Run();
            contents.Bind(1, id).Bind(2, package.Content).Run();
        }

        _rows.Sort((left, right) => left.Package.Name.CompareTo(right.Package.Name));
        var names = session.Prepare("INSERT INTO names VALUES (?, ?)");
        foreach (var (id, package) in _rows)
        {
            names.Bind(1, package.Name.Value).Bind(2, id).Run();
            foreach (var key in KnownKeys(package.Name, Grade.OfId(id)))
            {
                session.Prepare("INSERT OR IGNORE INTO known VALUES (?, ?, ?)").Bind(1, Grade.OfId(id)).Bind(2, key).Bind(3, id).Run();
            }
        }

        _rows.Clear();
    }

    /// <summary>The texts with which a search for beginnings finds it, besides the table of all names.</summary>
    private static IEnumerable<string> KnownKeys(PackageName name, int grade)
    {
        var key = name.Value.ToLowerInvariant();
        if (grade >= Grade.Used || key != name.Value)
        {
            yield return key;
        }

        if (name.Scope is not null)
        {
            yield return name.BareName.ToLowerInvariant();
        }
    }
}
