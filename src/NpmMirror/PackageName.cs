using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace NpmMirror;

/// <summary>
/// A valid npm package name, scope included (<c>express</c>, <c>@types/node</c>). Case-exact: npm holds names that differ only
/// in case. Legacy names count: the rule is safety in a URL path, not what npm accepts for new packages.
/// </summary>
/// <remarks>Ordered by UTF-8 bytes, the order in which every store lists names. Never used as a file path.</remarks>
public readonly struct PackageName : IEquatable<PackageName>, IComparable<PackageName>
{
    /// <summary>The longest accepted name in UTF-8 bytes. npm allows 214 characters for new names; older ones may be longer.</summary>
    public const int LengthMaxBytes = 512;

    private static readonly SearchValues<char> ForbiddenChars = SearchValues.Create("/\\%?#&=:;,+$<>{}|^`[]\"\u007f");

    private readonly string? _value;

    private PackageName(string value) => _value = value;

    /// <summary>The name as npm writes it. Empty only for <c>default</c>.</summary>
    public string Value => _value ?? "";

    /// <summary>The scope without its <c>@</c>, or null for an unscoped name.</summary>
    public string? Scope => Value.StartsWith('@') ? Value[1..Value.IndexOf('/', StringComparison.Ordinal)] : null;

    /// <summary>The name without its scope, with which tarball file names begin.</summary>
    public string BareName => Value[(Value.IndexOf('/', StringComparison.Ordinal) + 1)..];

    /// <summary>The name as one URL path segment, percent-encoded as npm does: <c>@types%2fnode</c>.</summary>
    public string UrlSegment => Scope is { } scope ? $"@{Uri.EscapeDataString(scope)}%2f{Uri.EscapeDataString(BareName)}" : Uri.EscapeDataString(Value);

    /// <summary>The name as URL path with a literal slash in the scope, as tarball URLs have it: <c>@types/node</c>.</summary>
    public string UrlPath => Scope is { } scope ? $"@{Uri.EscapeDataString(scope)}/{Uri.EscapeDataString(BareName)}" : Uri.EscapeDataString(Value);

    /// <summary>Reads a name; false when it is not one (also for <c>_design/…</c>, which is not a package).</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out PackageName name)
    {
        name = default;
        if (string.IsNullOrEmpty(text) || text.Length > LengthMaxBytes)
        {
            return false;
        }

        // A scope alone is no name: all code that splits names relies on the slash after the scope.
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var isValid = text[0] == '@'
            ? slash > 0 && IsSegment(text.AsSpan(1, slash - 1)) && IsSegment(text.AsSpan(slash + 1))
            : IsSegment(text);
        if (!isValid || Encoding.UTF8.GetByteCount(text) > LengthMaxBytes)
        {
            return false;
        }

        name = new PackageName(text);
        return true;
    }

    /// <summary>Reads a name.</summary>
    /// <exception cref="MirrorException">The text is not a package name.</exception>
    public static PackageName Parse(string text) => TryParse(text, out var name)
        ? name
        : throw new MirrorException(MirrorFault.BadInput, $"{MirrorException.Quote(text)} is not a package name; write it as npm does, for example express or @types/node.");

    /// <inheritdoc/>
    public bool Equals(PackageName other) => string.Equals(Value, other.Value, StringComparison.Ordinal);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is PackageName other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Value.GetHashCode(StringComparison.Ordinal);

    /// <summary>By UTF-8 bytes (which is by code point, not by UTF-16 unit).</summary>
    public int CompareTo(PackageName other)
    {
        string left = Value, right = other.Value;
        var length = Math.Min(left.Length, right.Length);
        for (var i = 0; i < length; i++)
        {
            if (left[i] != right[i])
            {
                // Only where exactly one side is a surrogate do UTF-16 and UTF-8 disagree.
                bool leftHigh = char.IsSurrogate(left[i]), rightHigh = char.IsSurrogate(right[i]);
                return leftHigh == rightHigh ? left[i].CompareTo(right[i]) : leftHigh ? 1 : -1;
            }
        }

        return left.Length.CompareTo(right.Length);
    }

    /// <inheritdoc/>
    public override string ToString() => Value;

    /// <summary>Equal names, case included.</summary>
    public static bool operator ==(PackageName left, PackageName right) => left.Equals(right);

    /// <summary>Different names.</summary>
    public static bool operator !=(PackageName left, PackageName right) => !left.Equals(right);

    /// <summary>Ordered before, by UTF-8 bytes.</summary>
    public static bool operator <(PackageName left, PackageName right) => left.CompareTo(right) < 0;

    /// <summary>Ordered after, by UTF-8 bytes.</summary>
    public static bool operator >(PackageName left, PackageName right) => left.CompareTo(right) > 0;

    /// <summary>Ordered before or equal, by UTF-8 bytes.</summary>
    public static bool operator <=(PackageName left, PackageName right) => left.CompareTo(right) <= 0;

    /// <summary>Ordered after or equal, by UTF-8 bytes.</summary>
    public static bool operator >=(PackageName left, PackageName right) => left.CompareTo(right) >= 0;

    private static bool IsSegment(ReadOnlySpan<char> segment)
    {
        if (segment.IsEmpty || segment is "." or ".." || segment.ContainsAny(ForbiddenChars))
        {
            return false;
        }

        for (var i = 0; i < segment.Length; i++)
        {
            var c = segment[i];
            if (c <= ' ' || char.IsControl(c) || char.IsWhiteSpace(c))
            {
                return false;
            }

            if (char.IsSurrogate(c) && !(char.IsHighSurrogate(c) && i + 1 < segment.Length && char.IsLowSurrogate(segment[++i])))
            {
                return false;
            }
        }

        return true;
    }
}
