using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;
using NpmMirror.Searching;

namespace NpmMirror.Hosting;

/// <summary>Gauges of a mirror's parts, read whenever metrics are collected.</summary>
internal static class MirrorGauges
{
    internal static void Add(Mirror mirror)
    {
        var meter = mirror.Meter;
        meter.CreateObservableGauge("npm_mirror.budget.used", () => mirror.Budget.UsedBytes, "By", "Memory that raw documents take now, of the option budgetBytes");
        meter.CreateObservableGauge("npm_mirror.budget.limit", () => mirror.Options.BudgetBytes, "By", "The option budgetBytes");
        meter.CreateObservableGauge("npm_mirror.tarballs.underway", () => mirror.Tarballs.Underway, "{tarball}", "Downloads of tarballs under way or waiting for their turn");
        meter.CreateObservableCounter("npm_mirror.renditions.hits", () => mirror.Renditions.HitCount, "{rendition}", "Renditions of packuments that were in memory when they were asked for");
        meter.CreateObservableCounter("npm_mirror.renditions.made", () => mirror.Renditions.MadeCount, "{rendition}", "Renditions of packuments that had to be made");
        meter.CreateObservableCounter("npm_mirror.renditions.improved", () => mirror.Renditions.ImprovedCount, "{rendition}", "Renditions that were compressed once more, and harder");
        meter.CreateObservableGauge("npm_mirror.renditions.improving", () => mirror.Renditions.ImprovingCount, "{rendition}", "Renditions that are compressed once more now, or wait for their turn");
        meter.CreateObservableGauge("npm_mirror.cache.size", () => new Measurement<long>(mirror.Renditions.UsedBytes, Telemetry.Tag("cache", "renditions")), "By", "Bytes that a cache with a limit in bytes holds now");
        if (mirror.Search is { } search)
        {
            meter.CreateObservableGauge("npm_mirror.search.packages", () => search.State.Packages, "{package}", "Packages in the search index");
            meter.CreateObservableGauge("npm_mirror.search.size", () => search.State.SizeBytes, "By", "Bytes of the search index");
            meter.CreateObservableGauge("npm_mirror.search.lag", () => Math.Max(mirror.Log.Head.Value - search.State.Position.Value, 0), "{row}", "Rows of the log that the search index has not taken in");
            meter.CreateObservableGauge("npm_mirror.search.following", () => search.State is { Phase: SearchPhase.Following, Trouble: null } ? 1 : 0, "{index}", "1 if the search index follows the log, 0 while it is opened or built, or if it does not go on");
        }
    }
}
