using System.Globalization;

namespace NpmMirror.Removals;

/// <summary>
/// Keeps one bad night of the upstream from emptying the mirror: when more vanished than one reconciliation may remove, or the list is
/// shorter than the upstream says itself, nothing of it is believed.
/// </summary>
internal static class RemovalBreaker
{
    private const int RemovalsAlways = 50;
    private const double RemovalsPart = 0.005;
    private const double ListPart = 0.98;

    /// <summary>How many packages of those held one reconciliation may remove.</summary>
    internal static long RemovalsMax(long held) => Math.Max(RemovalsAlways, (long)(held * RemovalsPart));

    /// <summary>Why no vanished package is believed; null if they are. A list that is too short is doubted even if it names every held package: it may leave out others.</summary>
    /// <param name="vanished">Held and not listed.</param>
    /// <param name="held">Packages held.</param>
    /// <param name="listed">Ids on the list.</param>
    /// <param name="upstreamCount">The number of documents that the upstream claims, if it does.</param>
    internal static string? FindReason(long vanished, long held, long listed, long? upstreamCount)
    {
        if (listed < upstreamCount * ListPart)
        {
            return string.Create(CultureInfo.InvariantCulture, $"the upstream says it has {upstreamCount} documents and lists {listed}");
        }

        return vanished > RemovalsMax(held)
            ? string.Create(CultureInfo.InvariantCulture, $"{vanished} of {held} packages are not on the upstream's list, and one reconciliation removes {RemovalsMax(held)} at most")
            : null;
    }
}
