using NpmMirror.Packuments;
using NpmMirror.Searching;

namespace NpmMirror.Page.Packages;

/// <summary>What the page of a package shows.</summary>
internal sealed record PackageModel
{
    /// <summary>The most versions in one page of them.</summary>
    internal const int VersionsShown = 100;

    public required PageFrame Frame { get; init; }

    public required PackageName Name { get; init; }

    public required PackageSummary Summary { get; init; }

    /// <summary>The versions of this page.</summary>
    public required IReadOnlyList<VersionLine> Versions { get; init; }

    /// <summary>How many versions there are in all, removed ones that are stored too.</summary>
    public required int VersionCount { get; init; }

    /// <summary>How many are left out before those.</summary>
    public required int From { get; init; }

    public required IReadOnlyList<DependencyLine> Dependencies { get; init; }

    /// <summary>How many dependencies <c>latest</c> has.</summary>
    public required int DependencyCount { get; init; }

    /// <summary>Held packages that depend on it; null if there is no index that knows.</summary>
    public SearchAnswer? Dependents { get; init; }

    public required IReadOnlyList<HistoryLine> History { get; init; }

    /// <summary>The readme as HTML; null if it cannot be shown as that.</summary>
    public string? ReadmeHtml { get; init; }

    internal string Link => PackagePaths.Of(Frame.Up, Name.Value);
}

/// <summary>The texts of a package, all of them a stranger's.</summary>
internal sealed record PackageSummary
{
    private const int TagsMax = 100;

    public string? Description { get; private init; }

    public string? License { get; private init; }

    public required IReadOnlyList<string> Keywords { get; init; }

    public required IReadOnlyList<string> Maintainers { get; init; }

    public required IReadOnlyList<DistTagColumns> Tags { get; init; }

    public Uri? Homepage { get; private init; }

    public Uri? Repository { get; private init; }

    public string? Readme { get; private init; }

    /// <summary>The version that <c>latest</c> stands for.</summary>
    public string? Latest { get; private init; }

    public string? Deprecated { get; private init; }

    public bool IsSecurityHolder { get; private init; }

    internal static PackageSummary Of(HeldPackage package)
    {
        var (index, top) = (package.Index, package.Top);
        var document = package.Raw.Bytes;
        var columns = PackumentColumns.Read(index, document);
        var latest = index.DistTags.TryGetValue("latest", out var tagged) && index.Find(tagged) is { } entry ? entry : (VersionEntry?)null;
        return new PackageSummary
        {
            Description = columns.Description is { } description ? Words.Plain(description, 1_000) : null,
            License = columns.License is { } license ? Words.Plain(license, 100) : null,
            Keywords = [.. columns.Keywords.Take(30).Select(word => Words.Plain(word, 60))],
            Maintainers = [.. columns.Maintainers.Take(50).Select(name => Words.Plain(name, 60))],
            Tags = [.. columns.DistTags.Take(TagsMax)],
            Homepage = AddressOf(Member("homepage")),
            Repository = AddressOf(Member("repository") is { IsEmpty: false } repository && package.Find(repository, "url") is { IsEmpty: false } url ? url : Member("repository")),
            Readme = package.Text(Member("readme")) is { Length: > 0 } readme ? readme : null,
            Latest = latest?.Version,
            Deprecated = latest is { } version && Manifest.Deprecation(version, document) is { } words ? Words.Plain(words) : null,
            IsSecurityHolder = index.IsSecurityHolder,
        };

        Slice Member(string name) => top.TryGetValue(name, out var value) ? value : latest is { } version ? package.Find(version.Manifest, name) : default;

        Uri? AddressOf(Slice value) => package.Text(value) is { } text ? WebAddress.Of(text) : null;
    }
}

/// <summary>Addresses out of manifests, which may be any text.</summary>
internal static class WebAddress
{
    private const int CharsMax = 500;

    /// <summary>The http or https address that a text is, also in the forms that repositories have; null for all else.</summary>
    internal static Uri? Of(string text)
    {
        text = text.Trim();
        text = text.StartsWith("git+http", StringComparison.Ordinal) ? text[4..] : text.StartsWith("git://", StringComparison.Ordinal) ? "https" + text[3..] : text;
        return text.Length <= CharsMax && Uri.TryCreate(text, UriKind.Absolute, out var address) && (address.Scheme == Uri.UriSchemeHttp || address.Scheme == Uri.UriSchemeHttps) && address.UserInfo.Length == 0
            ? address
            : null;
    }
}
