namespace NpmMirror.Syncing;

/// <summary>The answers that are believed when a package is compared with the upstream; each value believes less than the one before.</summary>
internal enum SyncTrust
{
    /// <summary>The answer of a cache on the way, and "not modified".</summary>
    Usual,

    /// <summary>"Not modified", of the upstream itself.</summary>
    NoCache,

    /// <summary>Only a whole document of the upstream itself.</summary>
    Nothing,

    /// <summary>The same, and it is written though it is the one that is held: that one is damaged.</summary>
    NothingHeld,
}
