using System.Globalization;

namespace NpmMirror;

/// <summary>
/// The upstream's cursor in its change feed: opaque text, passed back verbatim. An integer at npm, <c>"12-g1AAAA…"</c> at
/// CouchDB 2 and later, sometimes an array (then its raw JSON). Only the npm dialect reads its own as numbers.
/// </summary>
public readonly record struct Sequence(string Text)
{
    /// <summary>The beginning of every feed.</summary>
    public static Sequence Zero { get; } = new("0");

    /// <summary>The sequence as a number, where the dialect promises one; null otherwise.</summary>
    public long? Number => long.TryParse(Text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <inheritdoc/>
    public override string ToString() => Text;
}
