using System.Diagnostics;
using System.Globalization;

namespace NpmMirror.Tests;

/// <summary>Time on the processor: on a machine that others use too, the clock says little.</summary>
internal static class ProcessorTime
{
    private const string Statistics = "/proc/thread-self/schedstat";

    /// <summary>This thread's time so far; if the system does not tell it, the clock's time.</summary>
    public static TimeSpan OfThread()
    {
        if (!File.Exists(Statistics))
        {
            return Stopwatch.GetElapsedTime(0);
        }

        var text = File.ReadAllText(Statistics);
        return TimeSpan.FromTicks(long.Parse(text.AsSpan(0, text.IndexOf(' ', StringComparison.Ordinal)), CultureInfo.InvariantCulture) / 100);
    }
}
