namespace NpmMirror.Searching;

/// <summary>How far a search index is.</summary>
public sealed record SearchState
{
    /// <summary>Where it is.</summary>
    public required string Location { get; init; }

    /// <summary>What it does now.</summary>
    public required SearchPhase Phase { get; init; }

    /// <summary>The log position up to which it is right; while it is being built, that from which it will follow.</summary>
    public LogPosition Position { get; init; }

    /// <summary>The packages in it.</summary>
    public long Packages { get; init; }

    /// <summary>The bytes of its file, and of the file beside it that new writes are in.</summary>
    public long SizeBytes { get; init; }

    /// <summary>Why it does not go on, in one sentence; null if it does.</summary>
    public string? Trouble { get; init; }
}

/// <summary>What a search index does.</summary>
public enum SearchPhase
{
    /// <summary>It is being opened, or cannot be; queries are refused.</summary>
    Opening,

    /// <summary>It is being built from the packages held; queries find those that are in it so far.</summary>
    Building,

    /// <summary>It follows the log.</summary>
    Following,
}
