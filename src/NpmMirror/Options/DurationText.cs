using System.Globalization;
using System.Text.RegularExpressions;

namespace NpmMirror.Options;

/// <summary>Durations as users write them: <c>500ms</c>, <c>1h30m</c>, <c>1.5h</c>, <c>00:05:00</c>.</summary>
internal static partial class DurationText
{
    /// <summary>The valid values, as the end of a sentence.</summary>
    public const string Wanted = "a duration such as 30s, 5m, 1.5h or 00:05:00";

    /// <summary>The duration, or null.</summary>
    public static TimeSpan? Parse(string text)
    {
        if (text == "0")
        {
            return TimeSpan.Zero;
        }

        if (text.Contains(':', StringComparison.Ordinal))
        {
            return TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var clock) && clock >= TimeSpan.Zero ? clock : null;
        }

        // A bare number is refused: .NET would read 300 as days, npm's users as seconds or milliseconds.
        var match = Pattern().Match(text);
        if (!match.Success)
        {
            return null;
        }

        var ticks = match.Groups["number"].Captures.Zip(match.Groups["unit"].Captures, (number, unit) =>
            double.Parse(number.Value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture) * UnitTicks(unit.Value.ToLowerInvariant())).Sum();
        return ticks < long.MaxValue / 2 ? TimeSpan.FromTicks((long)ticks) : null;
    }

    private static double UnitTicks(string unit) => unit switch
    {
        "ms" => TimeSpan.TicksPerMillisecond,
        "s" => TimeSpan.TicksPerSecond,
        "m" => TimeSpan.TicksPerMinute,
        "h" => TimeSpan.TicksPerHour,
        _ => TimeSpan.TicksPerDay,
    };

    [GeneratedRegex("^(?:(?<number>[0-9]{1,9}(?:\\.[0-9]{1,9})?)\\s?(?<unit>ms|s|m|h|d))+$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
