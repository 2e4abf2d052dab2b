using System.Text;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Pages;
using NpmMirror.Hosting;
using NpmMirror.Page.Packages;
using NpmMirror.Page.Sources;
using RazorSlices;

namespace NpmMirror.Page.Comparing;

/// <summary>The page that compares two versions: manifests first, then the files of the stored tarballs.</summary>
internal sealed class ComparePages(Mirror mirror, PackageReader packages, SourceReader sources)
{
    private const int VersionMaxChars = 256;

    /// <summary>The page for the two versions in the query.</summary>
    internal async Task<(int Status, RazorSlice Page)> FindAsync(HttpContext context, PageRequest request, PackageName name)
    {
        var (from, to) = (Cut(context.Request.Query["from"].ToString()), Cut(context.Request.Query["to"].ToString()));
        var frame = new PageFrame($"Compare {name}", request.Up, null, request.Registry);
        var answer = await packages.ReadAsync(name, package => ComparedVersions.Of(package, from, to), context.RequestAborted);
        if (answer.Shown is not { } versions)
        {
            return (answer.Status, Templates.Message(new MessageModel(frame, answer.Reason!)));
        }

        if (from.Length == 0 || to.Length == 0)
        {
            return (200, Templates.Compare(new CompareModel(frame, name, from, to)));
        }

        foreach (var (version, manifest, tarball) in new[] { (from, versions.From, versions.FromTarball), (to, versions.To, versions.ToTarball) })
        {
            if (manifest is null && tarball is null)
            {
                return (404, Templates.Compare(new CompareModel(frame, name, from, to) { Problem = $"Version {Words.Plain(version, 100)} is neither in the packument that is held here, nor is its tarball stored." }));
            }
        }

        var (before, after) = (await TreeAsync(versions.FromTarball, context.RequestAborted), await TreeAsync(versions.ToTarball, context.RequestAborted));
        var model = new CompareModel(frame, name, from, to) { Members = Compare(versions.From ?? ManifestIn(before), versions.To ?? ManifestIn(after)) };
        if (before is null || after is null)
        {
            return (200, Templates.Compare(model with { FilesNote = $"The files are compared if both tarballs are stored; that of {string.Join(" and ", new[] { before is null ? from : null, after is null ? to : null }.OfType<string>().Select(version => Words.Plain(version, 100)))} is not. A client that installs it brings it." }));
        }

        var (files, count) = FileChanges.Of(before, after, mirror.Time);
        return (200, Templates.Compare(model with { Files = files, FileCount = count, FilesNote = before.Problem ?? after.Problem }));
    }

    private static IReadOnlyList<ComparedMember>? Compare(ManifestMembers? from, ManifestMembers? to) => from is null || to is null ? null : ManifestMembers.Compare(from, to);

    private async Task<SourceTree?> TreeAsync(Storage.TarballRow? tarball, CancellationToken cancellationToken) => tarball is null ? null : await sources.ReadAsync(tarball, null, cancellationToken);

    /// <summary>The manifest of a version that is in the packument no more.</summary>
    private static ManifestMembers? ManifestIn(SourceTree? tree)
    {
        try
        {
            return tree?.Files.GetValueOrDefault("package.json")?.Text is { } text ? ManifestMembers.Of(Encoding.UTF8.GetBytes(text.Trim('\ufeff', ' ', '\r', '\n', '\t'))) : null;
        }
        catch (Exception e) when (e is System.Text.Json.JsonException or MirrorException)
        {
            return null;
        }
    }

    private static string Cut(string version) => version.Length <= VersionMaxChars ? version : version[..VersionMaxChars];
}

/// <summary>What the page of a comparison shows.</summary>
internal sealed record CompareModel(PageFrame Frame, PackageName Name, string From, string To)
{
    public string? Problem { get; init; }

    /// <summary>The members of the manifests that differ; null if a manifest is not to be had.</summary>
    public IReadOnlyList<ComparedMember>? Members { get; init; }

    /// <summary>The files that differ; null if they were not compared.</summary>
    public IReadOnlyList<ChangedFile>? Files { get; init; }

    public int FileCount { get; init; }

    public string? FilesNote { get; init; }

    internal string Link => PackagePaths.Of(Frame.Up, Name.Value) + "/compare";
}
