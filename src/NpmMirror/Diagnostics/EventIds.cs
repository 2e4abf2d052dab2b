namespace NpmMirror.Diagnostics;

/// <summary>Where each folder's log event ids begin; a folder counts up from its own.</summary>
internal static class EventIds
{
    internal const int Upstream = 1000;
    internal const int Monitoring = 2000;
    internal const int Mirroring = 3000;
    internal const int Storage = 4000;
    internal const int Registry = 5000;
    internal const int AspNetCore = 6000;
    internal const int Cli = 7000;
    internal const int Maintenance = 8000;
    internal const int Hosting = 9000;
}
