using System.Diagnostics.Metrics;

namespace NpmMirror.Diagnostics;

/// <summary>The one meter of a mirror; each folder adds its instruments beside what they count.</summary>
internal static class Telemetry
{
    internal static readonly Meter Meter = new("NpmMirror");
}
