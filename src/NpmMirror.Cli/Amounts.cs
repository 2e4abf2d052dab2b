using System.Globalization;

namespace NpmMirror.Cli;

/// <summary>Amounts as people read them.</summary>
internal static class Amounts
{
    private static readonly string[] Units = ["B", "KB", "MB", "GB", "TB", "PB"];

    /// <summary>Bytes with a unit: <c>1.4 GB</c>.</summary>
    public static string Bytes(double bytes)
    {
        var unit = 0;
        while (bytes >= 1024 && unit < Units.Length - 1)
        {
            bytes /= 1024;
            unit++;
        }

        return bytes.ToString(unit == 0 ? "0" : "0.0", CultureInfo.InvariantCulture) + " " + Units[unit];
    }

    /// <summary>A time in its two largest units: <c>3 h 20 min</c>.</summary>
    public static string Duration(TimeSpan time) => time switch
    {
        { TotalMinutes: < 1 } => Two(time.Seconds, "s", 0, ""),
        { TotalHours: < 1 } => Two(time.Minutes, "min", time.Seconds, "s"),
        { TotalDays: < 1 } => Two(time.Hours, "h", time.Minutes, "min"),
        _ => Two(time.Days, "d", time.Hours, "h"),
    };

    private static string Two(int large, string unit, int small, string smallUnit) =>
        large.ToString(CultureInfo.InvariantCulture) + " " + unit + (small == 0 ? "" : " " + small.ToString(CultureInfo.InvariantCulture) + " " + smallUnit);
}
