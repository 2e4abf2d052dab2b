using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Pages;
using NpmMirror.Page.Packages;
using NpmMirror.Storage;
using RazorSlices;

namespace NpmMirror.Page.Sources;

/// <summary>The files of a version, and one of them with its lines.</summary>
internal sealed class SourcePages(PackageReader packages, SourceReader sources)
{
    /// <summary>The page for a path in the stored tarball of a version; none: the list of its files.</summary>
    internal async Task<(int Status, RazorSlice Page)> FindAsync(HttpContext context, PageRequest request, PackageName name, string version, string path)
    {
        var frame = new PageFrame($"{name} {Words.Plain(version, 100)}{(path.Length > 0 ? ": " + Words.Plain(path, 200) : "")}", request.Up, null, request.Registry);
        var answer = await packages.ReadAsync(name, package => new FoundTarball(package.TarballOf(version)), context.RequestAborted);
        if (answer.Shown is not { } found)
        {
            return (answer.Status, Templates.Message(new MessageModel(frame, answer.Reason!)));
        }

        if (found.Tarball is not { } tarball)
        {
            return (404, Templates.Message(new MessageModel(frame, "The tarball of this version is not stored here. A client that installs it brings it.")));
        }

        var tree = await sources.ReadAsync(tarball, path, context.RequestAborted);
        if (path.Length == 0)
        {
            return (200, Templates.Sources(new SourcesModel(frame, name, version, [.. tree.Files.Values.OrderBy(file => file.Path, StringComparer.Ordinal)], tree.Problem)));
        }

        return tree.Files.TryGetValue(path, out var file)
            ? (200, Templates.Source(new SourceModel(frame, name, version, file)))
            : (404, Templates.Message(new MessageModel(frame, $"The tarball has no such file. {tree.Problem}")));
    }

    private sealed record FoundTarball(TarballRow? Tarball);
}

/// <summary>The files of a version.</summary>
internal sealed record SourcesModel(PageFrame Frame, PackageName Name, string Version, IReadOnlyList<SourceFile> Files, string? Problem)
{
    /// <summary>The most that are listed.</summary>
    internal const int FilesShown = 3_000;

    internal string Link(SourceFile file) => $"{PackagePaths.Of(Frame.Up, Name.Value, Version)}/files/{string.Join('/', file.Path.Split('/').Select(Uri.EscapeDataString))}";
}

/// <summary>A file of a version.</summary>
internal sealed record SourceModel(PageFrame Frame, PackageName Name, string Version, SourceFile File)
{
    private const int LinesMax = 5_000;
    private const int LineMaxChars = 2_000;

    /// <summary>The lines that are shown; none of a file that is no text, or too long.</summary>
    internal IEnumerable<string> Lines => File.Text is null ? [] : File.Text.Split('\n').Take(LinesMax).Select(line => Words.Plain(line.TrimEnd('\r').Replace("\t", "    ", StringComparison.Ordinal), LineMaxChars));

    internal string? Note => File.IsBinary ? "This file is no text." : File.Text is null ? $"This file is longer than {Words.Bytes(SourceReader.TextMaxBytes)}." : File.Text.AsSpan().Count('\n') > LinesMax ? $"The first {LinesMax} lines." : null;

    internal string FilesLink => $"{PackagePaths.Of(Frame.Up, Name.Value, Version)}/files";
}
