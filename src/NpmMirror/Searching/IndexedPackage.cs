using NpmMirror.Packuments;

namespace NpmMirror.Searching;

/// <summary>What an index takes of a package: everything has a bound, and what is of another type than npm's documentation tells is left out.</summary>
public sealed record IndexedPackage
{
    private const int PeopleMax = 100;
    private const int KeywordsMax = 60;
    private const int AddressMaxChars = 1_000;

    /// <summary>What a hit tells of it; <see cref="SearchHit.Dependents"/>, <see cref="SearchHit.Score"/> and <see cref="SearchHit.Rank"/> are the index's.</summary>
    public required SearchHit Hit { get; init; }

    /// <summary>The names of <c>dependencies</c> of its version <c>latest</c>, each once.</summary>
    public required IReadOnlyList<string> Dependencies { get; init; }

    /// <summary>Reads a document by its index.</summary>
    /// <exception cref="MirrorException">The index is another document's.</exception>
    internal static IndexedPackage Read(PackageName name, PackumentIndex index, ReadOnlySpan<byte> document)
    {
        var latest = LatestOf(index);
        var top = new ManifestSlices();
        foreach (var (member, value) in JsonMembers.ReadTop(document, index.VersionsValue))
        {
            top.Take(member, value);
        }

        var version = new ManifestSlices();
        var members = new JsonMemberReader(document, latest?.Manifest ?? default);
        while (members.MoveNext())
        {
            if (members.Name.Length <= ManifestSlices.NameMaxBytes)
            {
                version.Take(JsonText.Decode(members.Name), members.Value);
            }
        }

        var words = Manifest.Deprecation(version.Deprecated.Of(document));
        return new IndexedPackage
        {
            Hit = new SearchHit
            {
                Name = name,
                Version = latest?.Version,
                PublishedAt = latest?.PublishedAt ?? index.ModifiedAt,
                Description = ColumnValues.Text((version.Description.IsEmpty ? top : version).Description.Of(document)),
                Keywords = [.. ColumnValues.Keywords(document, (version.Keywords.IsEmpty ? top : version).Keywords).Take(KeywordsMax)],
                License = version.License.IsEmpty && version.Licenses.IsEmpty ? ColumnValues.License(document, top.License, top.Licenses) : ColumnValues.License(document, version.License, version.Licenses),
                Author = Of(ColumnValues.Person(document, (version.Author.IsEmpty ? top : version).Author)),
                Publisher = Of(ColumnValues.Person(document, version.Publisher)),
                Maintainers = [.. ColumnValues.Persons(document, (top.Maintainers.IsEmpty ? version : top).Maintainers, PeopleMax).Select(person => new SearchPerson(person.Name, person.Email))],
                Homepage = Address(ColumnValues.Text((version.Homepage.IsEmpty ? top : version).Homepage.Of(document), AddressMaxChars)),
                Repository = Address(ColumnValues.Address(document, (version.Repository.IsEmpty ? top : version).Repository, AddressMaxChars)),
                Bugs = Address(ColumnValues.Address(document, (version.Bugs.IsEmpty ? top : version).Bugs, AddressMaxChars)),
                Deprecated = words is { Length: > ColumnValues.ListMax } ? words[..ColumnValues.ListMax] : words,
            },
            Dependencies = NamesOf(document, version.Dependencies),
        };
    }

    private static SearchPerson? Of(PersonColumns? person) => person is { } known ? new SearchPerson(known.Name, known.Email) : null;

    private static VersionEntry? LatestOf(PackumentIndex index)
    {
        if (index.DistTags.TryGetValue("latest", out var tagged) && index.Find(tagged) is { } entry)
        {
            return entry;
        }

        // A document that an upstream cut down may have no such tag.
        VersionEntry? best = null;
        VersionOrder? bestOrder = null;
        foreach (var version in index.Versions)
        {
            var order = VersionOrder.Of(version.Version);
            if (best is null || (order is not null && (bestOrder is null || (order.IsStable, order).CompareTo((bestOrder.IsStable, bestOrder)) > 0)))
            {
                (best, bestOrder) = (version, order);
            }
        }

        return best;
    }

    private static List<string> NamesOf(ReadOnlySpan<byte> document, Slice dependencies)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var members = new JsonMemberReader(document, dependencies);
        for (var count = 0; count < ColumnValues.DependenciesMax && members.MoveNext(); count++)
        {
            if (members.Name.Length <= PackageName.LengthMaxBytes && PackageName.TryParse(JsonText.Decode(members.Name), out var name))
            {
                names.Add(name.Value);
            }
        }

        return [.. names];
    }

    /// <summary>An address for a browser: git's own forms are turned into one, and anything but http(s) is none.</summary>
    private static string? Address(string? text)
    {
        if (text is null)
        {
            return null;
        }

        var address = text.StartsWith("git+", StringComparison.Ordinal) ? text[4..] : text;
        address = address.StartsWith("git://", StringComparison.Ordinal) ? "https" + address[3..]
            : address.StartsWith("ssh://git@", StringComparison.Ordinal) ? "https://" + address["ssh://git@".Length..]
            : address;
        return Uri.TryCreate(address, UriKind.Absolute, out var parsed) && (parsed.Scheme == Uri.UriSchemeHttps || parsed.Scheme == Uri.UriSchemeHttp) && parsed.UserInfo.Length == 0
            ? (address.EndsWith(".git", StringComparison.Ordinal) ? address[..^4] : address)
            : null;
    }
}
