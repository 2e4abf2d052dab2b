using System.Globalization;

namespace NpmMirror.Page;

/// <summary>Amounts and times as the page writes them.</summary>
internal static class Words
{
    private static readonly string[] Units = ["B", "KB", "MB", "GB", "TB", "PB"];

    /// <summary>A number with spaces between thousands: 4 400 000.</summary>
    internal static string Count(long number) => number.ToString("#,0", CultureInfo.InvariantCulture).Replace(',', '\u202f');

    /// <summary>Bytes with one digit after the point.</summary>
    internal static string Bytes(long bytes)
    {
        double amount = bytes;
        var unit = 0;
        for (; amount >= 1000 && unit < Units.Length - 1; unit++)
        {
            amount /= 1000;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{(unit == 0 ? $"{bytes}" : amount.ToString("0.#", CultureInfo.InvariantCulture))} {Units[unit]}");
    }

    /// <summary>A moment, in UTC, to the second.</summary>
    internal static string Time(DateTimeOffset at) => at.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture) + " UTC";

    /// <summary>A day.</summary>
    internal static string Day(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    /// <summary>A moment as <c>datetime</c> has it.</summary>
    internal static string Machine(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>A stretch of time in its largest unit.</summary>
    internal static string Ago(TimeSpan time) =>
        time < TimeSpan.FromSeconds(2) ? "a moment"
        : time < TimeSpan.FromMinutes(2) ? $"{(int)time.TotalSeconds} s"
        : time < TimeSpan.FromHours(2) ? $"{(int)time.TotalMinutes} min"
        : time < TimeSpan.FromDays(2) ? $"{(int)time.TotalHours} h"
        : $"{(int)time.TotalDays} days";

    /// <summary>Strangers' text on one line, without what steers or deceives, at most so many characters.</summary>
    internal static string Plain(string text, int charsMax = 500)
    {
        var plain = PlainText.Of(text.Length > charsMax ? text[..charsMax] : text);
        return text.Length > charsMax ? plain + "…" : plain;
    }
}
