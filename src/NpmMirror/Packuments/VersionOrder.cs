using System.Numerics;

namespace NpmMirror.Packuments;

/// <summary>The precedence of versions as semver defines it; build metadata does not count.</summary>
internal sealed class VersionOrder : IComparable<VersionOrder>
{
    private readonly BigInteger[] _numbers;
    private readonly string[] _prerelease;

    private VersionOrder(BigInteger[] numbers, string[] prerelease)
    {
        _numbers = numbers;
        _prerelease = prerelease;
    }

    /// <summary>Whether it is no prerelease.</summary>
    public bool IsStable => _prerelease.Length == 0;

    /// <summary>Where a version stands; null for text that is no semver, as some old versions are.</summary>
    public static VersionOrder? Of(string version)
    {
        var text = version.AsSpan();
        var build = text.IndexOf('+');
        text = build < 0 ? text : text[..build];
        var dash = text.IndexOf('-');
        var core = dash < 0 ? text : text[..dash];
        var numbers = new BigInteger[3];
        var parts = 0;
        foreach (var range in core.Split('.'))
        {
            if (parts == numbers.Length || !IsNumber(core[range]))
            {
                return null;
            }

            numbers[parts++] = BigInteger.Parse(core[range], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture);
        }

        return parts == numbers.Length ? new VersionOrder(numbers, dash < 0 ? [] : text[(dash + 1)..].ToString().Split('.')) : null;
    }

    /// <inheritdoc/>
    public int CompareTo(VersionOrder? other)
    {
        if (other is null)
        {
            return 1;
        }

        for (var i = 0; i < _numbers.Length; i++)
        {
            if (_numbers[i].CompareTo(other._numbers[i]) is not 0 and var order)
            {
                return order;
            }
        }

        return IsStable || other.IsStable ? IsStable.CompareTo(other.IsStable) : ComparePrereleases(_prerelease, other._prerelease);
    }

    private static int ComparePrereleases(string[] left, string[] right)
    {
        for (var i = 0; i < Math.Min(left.Length, right.Length); i++)
        {
            if (CompareIdentifiers(left[i], right[i]) is not 0 and var order)
            {
                return order;
            }
        }

        return left.Length.CompareTo(right.Length);
    }

    private static int CompareIdentifiers(string left, string right)
    {
        // Numbers stand before words, and shorter numbers before longer ones.
        var (isLeft, isRight) = (IsNumber(left), IsNumber(right));
        return isLeft != isRight ? (isLeft ? -1 : 1)
            : isLeft && left.Length != right.Length ? left.Length.CompareTo(right.Length)
            : string.CompareOrdinal(left, right);
    }

    // Longer than any real one: a number of a megabyte takes a second to read.
    private static bool IsNumber(ReadOnlySpan<char> text) => text.Length is > 0 and <= 64 && !text.ContainsAnyExceptInRange('0', '9');
}
