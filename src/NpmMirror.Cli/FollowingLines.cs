using System.Globalization;
using NpmMirror.Following;

namespace NpmMirror.Cli;

/// <summary>How following goes, as <c>status</c> says it.</summary>
internal static class FollowingLines
{
    /// <summary>Longer than any feed is silent that is asked again and again.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromMinutes(2);

    /// <summary>How far it is; null before the head was reached for the first time.</summary>
    public static string? Following(FollowingState state, string? handled, DateTimeOffset now)
    {
        if (state.AtHeadAt is not { } at)
        {
            return null;
        }

        var age = now > at ? now - at : TimeSpan.Zero;
        var when = $"{Amounts.Duration(age)} ago ({at.ToString("u", CultureInfo.InvariantCulture)})";
        var lag = state.Head is { } known ? new Sequence(known).Number - new Sequence(handled ?? "").Number : null;
        // Rows that were handled since the last look at the head lie after it.
        var head = lag < 0 ? handled : state.Head;
        return lag > 0 ? string.Create(CultureInfo.InvariantCulture, $"{lag} sequences before the head {state.Head}; last at a head {when}")
            : age < Quiet ? $"at the head {head}, last told {when}"
            : $"at the head {head}, last told {when}: nothing has changed since then, or the mirror does not run";
    }

    /// <summary>The late rows; null if there were none.</summary>
    public static string? LateRows(FollowingState state, DateTimeOffset now) => state.LateRows == 0 ? null : string.Create(
        CultureInfo.InvariantCulture,
        $"{state.LateRows}{(state.LastLateAt is { } last ? $", the last found {Amounts.Duration(now > last ? now - last : TimeSpan.Zero)} ago ({last.ToString("u", CultureInfo.InvariantCulture)})" : "")}{(state.LongestLate is { } late ? $", at most {Amounts.Duration(late)} late" : "")}");
}
