using System.Buffers;
using System.Globalization;

namespace NpmMirror;

/// <summary>
/// Reads the numbers, dates and addresses that strangers write into headers and documents. A value that makes no sense is null, as one that is
/// absent; nothing throws.
/// </summary>
internal static class HeaderValues
{
    // Longer than any number or date that means something.
    private const int WordMaxChars = 64;
    private const int AddressMaxChars = 8 * 1024;
    private const int ValidatorMaxChars = 1024;

    private static readonly SearchValues<char> DigitsAndPoint = SearchValues.Create("0123456789.");

    /// <summary>A longer pause is a mistake of the server.</summary>
    private static readonly TimeSpan LongestBelieved = TimeSpan.FromDays(366);

    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(1);

    /// <summary>A number of bytes or of anything else that is counted, such as <c>Content-Length</c>.</summary>
    internal static long? Count(string? text) =>
        text is { Length: <= WordMaxChars } && long.TryParse(text.AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : null;

    /// <summary>A number of seconds, as <c>Age</c> has them.</summary>
    internal static TimeSpan? Seconds(string? text)
    {
        var digits = text.AsSpan().Trim();
        if (digits.Length > WordMaxChars || digits.ContainsAnyExcept(DigitsAndPoint))
        {
            return null;
        }

        return double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds <= LongestBelieved.TotalSeconds
            ? TimeSpan.FromSeconds(seconds)
            : null;
    }

    /// <summary>A date as <c>Last-Modified</c> has it, or as JSON does. The ends of the calendar are how programs write "never".</summary>
    internal static DateTimeOffset? Date(string? text) =>
        text is { Length: <= WordMaxChars }
        && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var date)
        && date.Year is >= 1970 and < 9999
            ? date
            : null;

    /// <summary>How long <c>Retry-After</c> asks to wait, a day at most: seconds or a date.</summary>
    internal static TimeSpan? Wait(string? text, DateTimeOffset now)
    {
        if ((Seconds(text) ?? Date(text) - now) is not { } wait || wait > LongestBelieved)
        {
            return null;
        }

        return wait < TimeSpan.Zero ? TimeSpan.Zero : wait > LongestWait ? LongestWait : wait;
    }

    /// <summary>A port that can be connected to.</summary>
    internal static int? Port(string? text) => Count(text) is { } port and > 0 and <= ushort.MaxValue ? (int)port : null;

    /// <summary>An absolute address of any scheme.</summary>
    internal static Uri? Address(string? text) =>
        text is { Length: <= AddressMaxChars } && Uri.TryCreate(text.Trim(), UriKind.Absolute, out var address) && IsUsable(address) ? address : null;

    /// <summary>An address as <c>Location</c> has it: absolute, or relative to the one that answered.</summary>
    internal static Uri? Address(string? text, Uri relativeTo) =>
        text is { Length: <= AddressMaxChars } && text.AsSpan().Trim() is { Length: > 0 } trimmed && Uri.TryCreate(relativeTo, trimmed.ToString(), out var address) && IsUsable(address)
            ? address
            : null;

    /// <summary>A validator, <c>ETag</c> or <c>Last-Modified</c>, that can be sent back as it came.</summary>
    internal static string? Validator(string? text) =>
        text is { Length: > 0 and <= ValidatorMaxChars } && !text.AsSpan().ContainsAnyExceptInRange(' ', '~') ? text : null;

    /// <summary>Whether the parts of an address make sense. <see cref="Uri"/> takes port 0, and finds out only when asked that a host is no name.</summary>
    private static bool IsUsable(Uri address)
    {
        if (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps)
        {
            return true;
        }

        try
        {
            return address.Port > 0 && address.IdnHost.Length > 0 && address.DnsSafeHost.Length > 0;
        }
        catch (UriFormatException)
        {
            return false;
        }
    }
}
