using System.Globalization;
using System.Text;

namespace NpmMirror.Page.State;

/// <summary>A bar for each hour of the last 30 days, as the path of an SVG that is 720 wide and 100 high.</summary>
/// <param name="Title">What is shown.</param>
/// <param name="Words">The same for readers who do not see it: the largest value, and the last.</param>
/// <param name="Path">The path.</param>
internal sealed record Chart(string Title, string Words, string Path)
{
    /// <summary>The charts; none before something was counted.</summary>
    internal static IReadOnlyList<Chart> Of(IReadOnlyList<HourCount> hours) => hours.Count == 0 ? [] :
    [
        Of("Requests an hour", hours, hour => hour.Requests, Page.Words.Count),
        Of("Bytes sent an hour", hours, hour => hour.SentBytes, Page.Words.Bytes),
        Of("Tarballs fetched from the upstream an hour", hours, hour => hour.TarballsFetched, Page.Words.Count),
        Of("Bytes of tarballs held", hours, hour => hour.TarballBytes, Page.Words.Bytes),
    ];

    private static Chart Of(string title, IReadOnlyList<HourCount> hours, Func<HourCount, long> valueOf, Func<long, string> words)
    {
        var (most, last, path) = (Math.Max(1, hours.Max(valueOf)), hours[^1].Hour, new StringBuilder());
        foreach (var hour in hours)
        {
            var (x, height) = (HourCounts.HoursMax - 1 - (last - hour.Hour), 100.0 * Math.Max(0, valueOf(hour)) / most);
            if (x >= 0 && height > 0)
            {
                path.Append(CultureInfo.InvariantCulture, $"M{x} 100v-{height:0.#}h1v{height:0.#}z");
            }
        }

        return new Chart(title, $"{title}: at most {words(hours.Max(valueOf))} in the last 30 days, {words(valueOf(hours[^1]))} now", path.ToString());
    }
}
