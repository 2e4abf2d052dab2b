namespace NpmMirror.Page;

/// <summary>The parts that all pages have.</summary>
/// <param name="Title">The page's title.</param>
/// <param name="Up">The relative address of the page's root.</param>
/// <param name="Current">The path of the page among <see cref="Pages"/>; null for another.</param>
/// <param name="Registry">The registry's address, without a slash at its end.</param>
/// <param name="Query">The text in the field of the search.</param>
internal sealed record PageFrame(string Title, string Up, string? Current, string Registry, string Query = "")
{
    /// <summary>The pages that every page names.</summary>
    internal static IReadOnlyList<(string Path, string Name)> Pages { get; } = [("", "State"), ("packages", "Packages"), ("setup", "Set up")];
}
