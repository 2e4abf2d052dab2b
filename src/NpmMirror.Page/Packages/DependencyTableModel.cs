namespace NpmMirror.Page.Packages;

/// <summary>Dependencies and the versions that they stand for.</summary>
/// <param name="Up">The relative address of the page's root.</param>
/// <param name="Lines">Those that are shown.</param>
/// <param name="Count">How many there are.</param>
internal sealed record DependencyTableModel(string Up, IReadOnlyList<DependencyLine> Lines, int Count);
