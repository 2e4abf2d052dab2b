using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>The scope of a verification.</summary>
public sealed record VerifyRequest
{
    /// <summary>Rows verified within this time are believed and not read again; zero: all are read.</summary>
    public TimeSpan OlderThan { get; init; }

    /// <summary>Begin anew although an earlier run was cut short.</summary>
    public bool StartsAnew { get; init; }

    /// <summary>A head of the log that was noted elsewhere; the log must still lead through it.</summary>
    public LogHead? NotedHead { get; init; }

    /// <summary>Compares with the upstream's list; null: no comparison.</summary>
    internal Completeness? Completeness { get; init; }

    /// <summary>Mends findings; null: nothing is mended.</summary>
    public Repairs? Repairs { get; init; }

    /// <summary>Told of each finding as it is made, one at a time.</summary>
    public Action<VerifyFinding> Found { get; init; } = _ => { };

    /// <summary>Told now and then how far it is.</summary>
    public Action<VerifyProgress> Progress { get; init; } = _ => { };
}

/// <summary>The progress of a verification.</summary>
/// <param name="Part">The present part: <c>log rows</c>, <c>documents</c>, <c>tarballs</c>.</param>
/// <param name="Done">How many of them it has checked.</param>
/// <param name="Total">Their number, roughly.</param>
/// <param name="Found">Findings so far.</param>
public readonly record struct VerifyProgress(string Part, long Done, long Total, long Found);

/// <summary>How a verification ended.</summary>
/// <param name="BegunAt">When it began; of one that continues another, when that began.</param>
/// <param name="IsContinued">Whether it went on where an earlier one was cut short.</param>
/// <param name="LogRows">Rows of the log that were checked.</param>
/// <param name="Documents">Documents, current and of the past, that were checked.</param>
/// <param name="DocumentBytes">Their raw bytes.</param>
/// <param name="Tarballs">Tarballs that were checked.</param>
/// <param name="TarballBytes">Their bytes.</param>
/// <param name="Skipped">Tarballs that were verified recently enough.</param>
/// <param name="Found">Findings.</param>
/// <param name="Repaired">Findings that were mended.</param>
/// <param name="Head">The end of the log as checked: worth noting somewhere else.</param>
public sealed record VerifySummary(
    DateTimeOffset BegunAt, bool IsContinued, long LogRows, long Documents, long DocumentBytes, long Tarballs, long TarballBytes, long Skipped, long Found, long Repaired, LogHead Head)
{
    /// <summary>Why the upstream's list is not to be believed: a reconciliation would hold its removals back; null when it is, or was not read.</summary>
    public string? HeldBack { get; init; }

    /// <summary>Findings that are still so.</summary>
    public long Left => Found - Repaired;
}
