using NpmMirror.Packuments;

namespace NpmMirror.Page.Packages;

/// <summary>Orders versions as people read them: the highest first; text that is no semver comes last, as it stands.</summary>
internal sealed class VersionSort : IComparer<string>
{
    internal static VersionSort HighestFirst { get; } = new();

    /// <inheritdoc/>
    public int Compare(string? x, string? y)
    {
        var (left, right) = (VersionOrder.Of(x!), VersionOrder.Of(y!));
        return (left, right) switch
        {
            (null, null) => string.CompareOrdinal(y, x),
            (null, _) => 1,
            (_, null) => -1,
            _ => right.CompareTo(left) is not 0 and var order ? order : string.CompareOrdinal(y, x),
        };
    }
}
