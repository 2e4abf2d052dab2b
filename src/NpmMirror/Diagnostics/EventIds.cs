namespace NpmMirror.Diagnostics;

/// <summary>Where the log event ids of each job begin; a job counts up from its own. An id stays what it is: operators filter by it.</summary>
internal static class EventIds
{
    internal const int Upstream = 1000;
    internal const int Following = 2000;

    /// <summary>Packages, tarballs, removals, lists, nodes.</summary>
    internal const int Mirror = 3000;
    internal const int Storage = 4000;
    internal const int Log = 5000;
    internal const int AspNetCore = 6000;
    internal const int Cli = 7000;
    internal const int Maintenance = 8000;
    internal const int Hosting = 9000;
    internal const int Search = 10_000;
}
