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

    /// <summary>
    /// The number that it begins with, in any dialect: before the <c>-</c> of a text, the first of an array; null if it begins with
    /// none. Only to tell which of two comes first: the text after the number belongs to the sequence.
    /// </summary>
    public long? Order
    {
        get
        {
            var text = Text.AsSpan().TrimStart("[ \"");
            var end = text.IndexOfAnyExceptInRange('0', '9');
            return long.TryParse(end < 0 ? text : text[..end], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
        }
    }

    /// <summary>True when it comes before another one of the same feed, as far as both tell.</summary>
    public bool IsBefore(Sequence other) => Order < other.Order;

    /// <inheritdoc/>
    public override string ToString() => Text;
}
