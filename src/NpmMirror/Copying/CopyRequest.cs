namespace NpmMirror.Copying;

/// <summary>A copy that is wanted.</summary>
public sealed record CopyRequest
{
    /// <summary>Told how far it is; calls never overlap.</summary>
    public Action<CopyProgress>? Progress { get; init; }

    /// <summary>Told of each part that the source itself does not have whole; calls never overlap.</summary>
    public Action<CopyFinding>? Found { get; init; }
}

/// <summary>How far a copy is.</summary>
/// <param name="Part">The part that it copies or compares now: packages, log rows, …</param>
/// <param name="Done">How many of them were looked at.</param>
/// <param name="Total">How many there are; null where that is not known before.</param>
/// <param name="Copied">How many of them were written.</param>
public readonly record struct CopyProgress(string Part, long Done, long? Total, long Copied);

/// <summary>A part of the mirror that the source does not have whole, so that the copy does not have it either.</summary>
/// <param name="Subject">The part.</param>
/// <param name="Problem">Its problem, in one sentence.</param>
public sealed record CopyFinding(string Subject, string Problem);
