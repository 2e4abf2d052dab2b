namespace NpmMirror.Syncing;

/// <summary>The progress of a sync. Each of its packages is done, left or failed; the three together are all of them.</summary>
/// <param name="Done">Packages that were finished in this run, and left the queue.</param>
/// <param name="Left">Packages that are queued, except failed ones.</param>
/// <param name="Failed">Packages whose last try failed, queued to be tried again.</param>
/// <param name="RawBytes">Raw bytes of the documents written in this run.</param>
internal sealed record SyncProgress(long Done, long Left, long Failed, long RawBytes)
{
    /// <summary>Tarballs fetched and stored in this run.</summary>
    public long Tarballs { get; init; }

    /// <summary>The bytes that came of tarballs in this run; also of those that are still arriving.</summary>
    public long TarballBytes { get; init; }

    /// <summary>Tarballs of the packages being worked on that are still to be fetched: more become known with each package.</summary>
    public long TarballsLeft { get; init; }
}

/// <summary>How a sync ended.</summary>
/// <param name="Changed">Packages written.</param>
/// <param name="Unchanged">Packages that were already as the upstream says, or that its list names and it does not have.</param>
/// <param name="Removed">Packages moved to the graveyard.</param>
/// <param name="Failures">Packages that could not be brought up to date, and why: those stay queued; and those asked for by name that the upstream does not have.</param>
/// <param name="RawBytes">Raw bytes of the documents written.</param>
internal sealed record SyncSummary(int Changed, int Unchanged, int Removed, IReadOnlyDictionary<PackageName, string> Failures, long RawBytes)
{
    /// <summary>How many of the failures only wait for the upstream to deny a package that is held a second time.</summary>
    public int InDoubt { get; init; }
}
