using System.Globalization;

namespace NpmMirror;

/// <summary>A packument's <c>_rev</c>, <c>&lt;number&gt;-&lt;hash&gt;</c>: the only value that ties a document to a feed row.</summary>
public readonly record struct Revision(string Text)
{
    /// <summary>The number before the dash, or 0 if there is none: higher is newer within one upstream database.</summary>
    public long Number
    {
        get
        {
            var dash = Text.IndexOf('-', StringComparison.Ordinal);
            return long.TryParse(dash < 0 ? Text : Text.AsSpan(0, dash), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
        }
    }

    /// <summary>True when its number is lower than another one's of the same package in the same upstream database.</summary>
    public bool IsBefore(Revision other) => Number < other.Number;

    /// <inheritdoc/>
    public override string ToString() => Text;
}
