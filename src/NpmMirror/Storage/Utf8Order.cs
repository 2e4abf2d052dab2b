namespace NpmMirror.Storage;

/// <summary>The order of every listing: by UTF-8 bytes, which is by code point, whatever the engine's own collation would be.</summary>
public sealed class Utf8Order : IComparer<string>
{
    /// <summary>The order.</summary>
    public static Utf8Order Instance { get; } = new();

    /// <inheritdoc/>
    public int Compare(string? x, string? y)
    {
        if (x is null || y is null)
        {
            return x is null ? (y is null ? 0 : -1) : 1;
        }

        var length = Math.Min(x.Length, y.Length);
        for (var i = 0; i < length; i++)
        {
            if (x[i] != y[i])
            {
                // Only where exactly one side is a surrogate do UTF-16 and UTF-8 disagree.
                bool isLeftHigh = char.IsSurrogate(x[i]), isRightHigh = char.IsSurrogate(y[i]);
                return isLeftHigh == isRightHigh ? x[i].CompareTo(y[i]) : isLeftHigh ? 1 : -1;
            }
        }

        return x.Length.CompareTo(y.Length);
    }
}
