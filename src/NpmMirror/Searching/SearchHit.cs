namespace NpmMirror.Searching;

/// <summary>A package that was found, as its version <c>latest</c> describes it. All texts are a stranger's; what is of another type than expected is left out.</summary>
public sealed record SearchHit
{
    /// <summary>The package.</summary>
    public required PackageName Name { get; init; }

    /// <summary>The version that <c>latest</c> stands for; if there is no such tag, the newest stable one; null if it has no versions.</summary>
    public string? Version { get; init; }

    /// <summary>When that version was published; null if it is not known.</summary>
    public DateTimeOffset? PublishedAt { get; init; }

    /// <summary><c>description</c>, or null.</summary>
    public string? Description { get; init; }

    /// <summary><c>keywords</c>.</summary>
    public IReadOnlyList<string> Keywords { get; init; } = [];

    /// <summary>The license in one text, or null.</summary>
    public string? License { get; init; }

    /// <summary>The author, or null.</summary>
    public SearchPerson? Author { get; init; }

    /// <summary>The account that published the version, or null.</summary>
    public SearchPerson? Publisher { get; init; }

    /// <summary>The accounts that may publish.</summary>
    public IReadOnlyList<SearchPerson> Maintainers { get; init; } = [];

    /// <summary><c>homepage</c> if it is an http(s) address, else null.</summary>
    public string? Homepage { get; init; }

    /// <summary>The http(s) address of <c>repository</c>, or null.</summary>
    public string? Repository { get; init; }

    /// <summary>The http(s) address of <c>bugs</c>, or null.</summary>
    public string? Bugs { get; init; }

    /// <summary>Why the version is deprecated; null if it is not.</summary>
    public string? Deprecated { get; init; }

    /// <summary>Whether the version is below 1.0.0, or there is none.</summary>
    public bool IsUnstable => Version is null || Version.StartsWith("0.", StringComparison.Ordinal);

    /// <summary>How many held packages depend on it in their version <c>latest</c>.</summary>
    public long Dependents { get; init; }

    /// <summary>How well it is kept and used.</summary>
    public SearchScore Score { get; init; }

    /// <summary>Its place in an answer to a query: the better match has the higher value. 0 in other lists.</summary>
    public double Rank { get; init; }
}

/// <summary>A person or account. A stranger's texts.</summary>
/// <param name="Name">The name; for a registry's accounts the username.</param>
/// <param name="Email">The address, or null.</param>
public sealed record SearchPerson(string Name, string? Email);

/// <summary>Estimates between 0 and 1, from what the mirror holds.</summary>
/// <param name="Quality">From what the package tells of itself: description, license, repository, a stable version, no deprecation.</param>
/// <param name="Popularity">From the number of held packages that depend on it.</param>
/// <param name="Maintenance">From how recently its version was published.</param>
public readonly record struct SearchScore(double Quality, double Popularity, double Maintenance);
