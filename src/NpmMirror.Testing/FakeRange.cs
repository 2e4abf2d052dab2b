using System.Globalization;

namespace NpmMirror.Testing;

/// <summary>One range of bytes, as a <c>Range</c> header asks for it. Length 0: it cannot be satisfied.</summary>
internal readonly record struct FakeRange(int Start, int Length)
{
    /// <summary>Reads a header; null when there is none, or none that counts.</summary>
    public static FakeRange? Parse(string? header, int totalBytes)
    {
        if (header is null || !header.StartsWith("bytes=", StringComparison.Ordinal) || header.Contains(',', StringComparison.Ordinal))
        {
            return null;
        }

        var ends = header["bytes=".Length..].Split('-');
        if (ends.Length != 2)
        {
            return null;
        }

        var hasFirst = int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first);
        var hasLast = int.TryParse(ends[1], NumberStyles.None, CultureInfo.InvariantCulture, out var last);
        return (hasFirst, hasLast) switch
        {
            (true, true) when first <= last && first < totalBytes => new FakeRange(first, Math.Min(last, totalBytes - 1) - first + 1),
            (true, false) when ends[1].Length == 0 && first < totalBytes => new FakeRange(first, totalBytes - first),
            (false, true) when ends[0].Length == 0 && last > 0 => new FakeRange(Math.Max(0, totalBytes - last), Math.Min(last, totalBytes)),
            (true, _) => new FakeRange(0, 0),
            _ => null,
        };
    }
}
