using System.Globalization;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Pages;
using NpmMirror.Hosting;
using NpmMirror.Searching;
using RazorSlices;

namespace NpmMirror.Page.Packages;

/// <summary>The pages of packages: <c>/package/NAME</c> and <c>/package/NAME/v/VERSION</c>.</summary>
internal sealed class PackagePages(Mirror mirror, PackageReader packages)
{
    private const int DependentsShown = 20;

    private readonly DependencyList _dependencies = new(mirror);
    private readonly HistoryLines _history = new(mirror);
    private readonly ReadmeCache _readmes = new();

    /// <summary>The page of a package, or of a version or tag of it, with its status.</summary>
    internal Task<(int Status, RazorSlice Page)> FindAsync(HttpContext context, PageRequest request, PackageName name, string? version) =>
        version is null ? PackageAsync(context, request, name) : VersionAsync(context, request, name, version);

    private async Task<(int Status, RazorSlice Page)> PackageAsync(HttpContext context, PageRequest request, PackageName name)
    {
        var cancelled = context.RequestAborted;
        var from = int.TryParse(context.Request.Query["from"].ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var asked) ? asked : 0;
        var answer = await packages.ReadAsync(name, package => Read(package, from), cancelled);
        if (answer.Shown is not { } shown)
        {
            return Message(request, answer.Status, name.Value, answer.Reason!);
        }

        var readme = shown.Summary.Readme is { } text ? _readmes.ToHtml(shown.Sha256, text) : null;
        return (200, Templates.Package(new PackageModel
        {
            Frame = Frame(request, name.Value),
            Name = name,
            Summary = shown.Summary,
            Versions = shown.Versions,
            VersionCount = shown.VersionCount,
            From = shown.From,
            Dependencies = await _dependencies.ResolveAsync(shown.Dependencies, cancelled),
            DependencyCount = shown.Dependencies.Count,
            Dependents = await DependentsAsync(name, cancelled),
            History = await _history.ReadAsync(name, cancelled),
            ReadmeHtml = readme,
        }));
    }

    private async Task<(int Status, RazorSlice Page)> VersionAsync(HttpContext context, PageRequest request, PackageName name, string version)
    {
        var answer = await packages.ReadAsync(name, package => new FoundVersion(VersionSummary.Of(package, version)), context.RequestAborted);
        if (answer.Shown is not { } found)
        {
            return Message(request, answer.Status, name.Value, answer.Reason!);
        }

        if (found.Summary is not { } summary)
        {
            return Message(request, 404, name.Value, $"The packument of {name} that is held here has no version or tag {Words.Plain(version, 100)}.");
        }

        var groups = new List<DependencyGroup>();
        foreach (var (title, dependencies) in summary.Groups)
        {
            groups.Add(new DependencyGroup(title, dependencies.Count, await _dependencies.ResolveAsync(dependencies, context.RequestAborted)));
        }

        return (200, Templates.Version(new VersionModel(Frame(request, $"{name} {Words.Plain(summary.Line.Version, 100)}"), name, summary, groups)));
    }

    private static FoundPackage Read(HeldPackage package, int from)
    {
        var listed = package.Index.Versions.OrderBy(entry => entry.Version, VersionSort.HighestFirst).ToList();
        // Removed versions whose tarballs are stored come last.
        var removed = package.IsPastShown ? package.Tarballs.Select(tarball => tarball.Version).Distinct().Where(version => package.Index.Find(version) is null).Order(VersionSort.HighestFirst).ToList() : [];
        from = Math.Clamp(from, 0, Math.Max(0, listed.Count + removed.Count - 1));
        var lines = listed.Skip(from).Take(PackageModel.VersionsShown).Select(entry => VersionLine.Of(package, entry)).ToList();
        lines.AddRange(removed.Skip(Math.Max(0, from - listed.Count)).Take(PackageModel.VersionsShown - lines.Count).Select(VersionLine.OfRemoved));
        var summary = PackageSummary.Of(package);
        var dependencies = summary.Latest is { } latest && VersionSummary.Of(package, latest) is { } version ? version.Groups[0].Dependencies : [];
        return new FoundPackage(package.Row.DocumentSha256, summary, lines, listed.Count + removed.Count, from, dependencies);
    }

    private async Task<SearchAnswer?> DependentsAsync(PackageName name, CancellationToken cancellationToken)
    {
        try
        {
            return mirror.Search is { } search ? await search.ListDependentsAsync(name, 0, DependentsShown, cancellationToken) : null;
        }
        catch (MirrorException)
        {
            // The index is being opened, or in trouble: the package is shown without them.
            return null;
        }
    }

    private static (int Status, RazorSlice Page) Message(PageRequest request, int status, string title, string message) => (status, Templates.Message(new MessageModel(Frame(request, title), message)));

    private static PageFrame Frame(PageRequest request, string title) => new(title, request.Up, null, request.Registry);

    private sealed record FoundPackage(Digest Sha256, PackageSummary Summary, IReadOnlyList<VersionLine> Versions, int VersionCount, int From, IReadOnlyList<Dependency> Dependencies);

    private sealed record FoundVersion(VersionSummary? Summary);
}
