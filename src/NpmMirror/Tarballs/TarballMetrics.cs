using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;

namespace NpmMirror.Tarballs;

/// <summary>What is counted of tarballs.</summary>
internal static class TarballMetrics
{
    /// <summary>Tarballs opened for clients, by where their bytes came from: stored, arriving, unstored.</summary>
    internal static readonly Counter<long> Opened = Telemetry.Meter.CreateCounter<long>("npm_mirror.tarballs.opened", "{tarball}", "Tarballs opened for clients, by source");

    /// <summary>Downloads that ended, by how: held, corrupt, absent, failed.</summary>
    internal static readonly Counter<long> Fetched = Telemetry.Meter.CreateCounter<long>("npm_mirror.tarballs.fetched", "{tarball}", "Downloads of tarballs that ended, by outcome");

    /// <summary>Bytes of tarballs stored.</summary>
    internal static readonly Counter<long> StoredBytes = Telemetry.Meter.CreateCounter<long>("npm_mirror.tarballs.stored", "By", "Bytes of tarballs fetched and stored");

    internal static void CountOpened(string source) => Opened.Add(1, new KeyValuePair<string, object?>("source", source));

    internal static void CountFetched(string outcome) => Fetched.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
}
