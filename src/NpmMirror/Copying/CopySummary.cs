using NpmMirror.Storage;

namespace NpmMirror.Copying;

/// <summary>How a copy ended.</summary>
public sealed record CopySummary
{
    /// <summary>Whether source and target were found equal. Else the source changed during each pass, and the copy is to be run again.</summary>
    public required bool IsFinished { get; init; }

    /// <summary>Whether it went on with an earlier copy.</summary>
    public required bool IsContinued { get; init; }

    /// <summary>The head of the target's log.</summary>
    public required LogHead Head { get; init; }

    /// <summary>The contents of the target.</summary>
    public required StoreCounts Counts { get; init; }

    /// <summary>The rows and documents that this run wrote, by part.</summary>
    public required IReadOnlyDictionary<string, long> Copied { get; init; }

    /// <summary>The bytes of tarballs that this run wrote.</summary>
    public required long BlobBytes { get; init; }

    /// <summary>The differences that the last pass found, and copied; 0 if the copy is finished.</summary>
    public required long Left { get; init; }

    /// <summary>The number of <see cref="CopyFinding"/>s.</summary>
    public required int Found { get; init; }
}
