using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.RegularExpressions;

namespace NpmMirror.Options;

/// <summary>How option values are written: numbers, words, durations (<c>1.5h</c>), sizes (<c>256MB</c>).</summary>
internal static partial class OptionValue
{
    /// <summary>Reads the text as the option's type; if it is none, false and a description of the valid values.</summary>
    public static bool TryParse(OptionDefinition option, string text, [NotNullWhen(true)] out object? value, out string wanted)
    {
        var type = option.Type;
        wanted = Describe(option);
        value = type switch
        {
            _ when type == typeof(string) => text,
            _ when type == typeof(bool) => ParseBool(text),
            _ when type == typeof(TimeSpan) => DurationText.Parse(text),
            _ when type.IsEnum => ParseWord(option, text),
            _ when option.IsSize && type == typeof(int) => ParseSize(text) is { } size and <= int.MaxValue ? (int)size : null,
            _ when option.IsSize => ParseSize(text),
            _ when type == typeof(int) => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null,
            _ => throw new System.Diagnostics.UnreachableException($"No option has the type {type}."),
        };
        return value is not null;
    }

    /// <summary>The value as a user would write it.</summary>
    public static string Format(OptionDefinition option, object? value) => value switch
    {
        null => "",
        TimeSpan duration => FormatDuration(duration),
        Enum word => FormatWord(word),
        bool flag => flag ? "true" : "false",
        int or long when option.IsSize => FormatSize(Convert.ToInt64(value, CultureInfo.InvariantCulture)),
        IEnumerable<string> list => string.Join(',', list),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    /// <summary>The values of an option that has few; none if it has many.</summary>
    public static IReadOnlyList<string> WordsOf(OptionDefinition option) =>
        option.Type == typeof(bool) ? ["true", "false"] : [.. option.Words.Select(FormatWord).Distinct()];

    /// <summary>The option's valid values, as the end of a sentence.</summary>
    public static string Describe(OptionDefinition option)
    {
        var kind = option.Type switch
        {
            var type when type == typeof(bool) => "true or false",
            var type when type == typeof(TimeSpan) => DurationText.Wanted,
            { IsEnum: true } => Join([.. WordsOf(option)]),
            _ when option.IsSize => "a number of bytes such as 1000000 or 256MB",
            var type when type == typeof(int) => "a whole number",
            _ => "a text",
        };
        return option.Range is var (least, most)
            ? $"{kind}, from {Format(option, least)} to {Format(option, most)}"
            : kind;
    }

    private static bool? ParseBool(string text) => text.ToLowerInvariant() switch
    {
        "true" or "yes" or "on" or "1" => true,
        "false" or "no" or "off" or "0" => false,
        _ => null,
    };

    private static Enum? ParseWord(OptionDefinition option, string text) =>
        option.Words.FirstOrDefault(word => Bare(word.ToString()).Equals(Bare(text), StringComparison.OrdinalIgnoreCase));

    private static string Bare(string word) => word.Replace("-", "", StringComparison.Ordinal).Replace("+", "", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal);

    private static long? ParseSize(string text)
    {
        var match = SizePattern().Match(text);
        if (!match.Success)
        {
            return null;
        }

        var shift = match.Groups["unit"].Value is [var letter, ..] ? ("KMGT".IndexOf(char.ToUpperInvariant(letter), StringComparison.Ordinal) + 1) * 10 : 0;
        var bytes = double.Parse(match.Groups["number"].Value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture) * (1L << shift);
        return bytes < long.MaxValue / 2 ? (long)bytes : null;
    }

    private static string FormatDuration(TimeSpan duration)
    {
        (long Ticks, string Unit)[] units = [(TimeSpan.TicksPerDay, "d"), (TimeSpan.TicksPerHour, "h"), (TimeSpan.TicksPerMinute, "m"), (TimeSpan.TicksPerSecond, "s"), (TimeSpan.TicksPerMillisecond, "ms")];
        var (ticks, unit) = duration == TimeSpan.Zero ? units[3] : units.FirstOrDefault(unit => duration.Ticks % unit.Ticks == 0, (1, " ticks"));
        return string.Create(CultureInfo.InvariantCulture, $"{duration.Ticks / ticks}{unit}");
    }

    private static string FormatSize(long bytes)
    {
        var unit = 0;
        while (unit < 4 && bytes >= 1024 && bytes % 1024 == 0)
        {
            bytes /= 1024;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{bytes}{(unit == 0 ? "" : "KMGT"[unit - 1] + "B")}");
    }

    private static string FormatWord(Enum word) => word switch
    {
        MetadataMode.ListedUsed => "listed+used",
        TarballMode.OnDemand => "on-demand",
        _ => word.ToString().ToLowerInvariant(),
    };

    private static string Join(string[] words) => $"{string.Join(", ", words[..^1])} or {words[^1]}";

    [GeneratedRegex("^(?<number>[0-9]{1,18}(?:\\.[0-9]{1,9})?)\\s?(?<unit>[KMGT]i?B?|B)?$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex SizePattern();
}
