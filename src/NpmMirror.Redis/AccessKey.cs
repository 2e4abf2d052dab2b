using System.Globalization;

namespace NpmMirror.Redis;

/// <summary>
/// The field of a count of downloads: file, client and day, in an order that is that of their bytes. A zero character of a file or client is followed by U+00FF,
/// and two parts are parted by a zero followed by U+0001: less than anything that a longer name could have there.
/// </summary>
internal static class AccessKey
{
    private const string Escaped = "\0\u00ff";
    private const string Parted = "\0\u0001";
    private const string DayForm = "yyyy-MM-dd";

    internal static string Write(string file, string client, DateOnly day) => $"{Of(file)}{Escape(client)}{Parted}{day.ToString(DayForm, CultureInfo.InvariantCulture)}";

    /// <summary>The beginning of all fields of a file.</summary>
    internal static string Of(string file) => $"{Escape(file)}{Parted}";

    internal static (string File, string Client, DateOnly Day)? Read(string field) =>
        field.Split(Parted) is [var file, var client, var text] && DateOnly.TryParseExact(text, DayForm, CultureInfo.InvariantCulture, DateTimeStyles.None, out var day)
            ? (Unescape(file), Unescape(client), day)
            : null;

    private static string Escape(string text) => text.Replace("\0", Escaped, StringComparison.Ordinal);

    private static string Unescape(string text) => text.Replace(Escaped, "\0", StringComparison.Ordinal);
}
