namespace NpmMirror.Mirroring;

/// <summary>How far a sync has come.</summary>
/// <param name="Done">Packages finished in this run.</param>
/// <param name="Left">Packages still queued.</param>
/// <param name="Failed">Packages whose last try failed and that are kept for retry.</param>
/// <param name="RawBytes">Raw bytes of the documents written in this run.</param>
public sealed record SyncProgress(int Done, long Left, int Failed, long RawBytes);

/// <summary>How a sync ended.</summary>
/// <param name="Changed">Packages written.</param>
/// <param name="Unchanged">Packages that were already as the upstream says, or that its list names and it does not have.</param>
/// <param name="Removed">Packages moved to the graveyard.</param>
/// <param name="Failures">Packages that could not be brought up to date, and why: those stay queued; and those asked for by name that the upstream does not have.</param>
/// <param name="RawBytes">Raw bytes of the documents written.</param>
public sealed record SyncSummary(int Changed, int Unchanged, int Removed, IReadOnlyDictionary<PackageName, string> Failures, long RawBytes)
{
    /// <summary>How many of the failures only wait for the upstream to deny a package that is held a second time.</summary>
    public int InDoubt { get; init; }
}
