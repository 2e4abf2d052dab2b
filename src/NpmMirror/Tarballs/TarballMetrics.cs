using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;

namespace NpmMirror.Tarballs;

/// <summary>The instruments of tarballs.</summary>
internal sealed class TarballMetrics(Meter meter)
{
    /// <summary>Tarballs opened for clients, by where their bytes came from: stored, arriving, unstored.</summary>
    private readonly Counter<long> _opened = meter.CreateCounter<long>("npm_mirror.tarballs.opened", "{tarball}", "Tarballs opened for clients, by source");

    /// <summary>Downloads that ended, by how: held, corrupt, absent, failed.</summary>
    private readonly Counter<long> _fetched = meter.CreateCounter<long>("npm_mirror.tarballs.fetched", "{tarball}", "Downloads of tarballs that ended, by outcome");

    /// <summary>Bytes of tarballs stored.</summary>
    internal Counter<long> StoredBytes { get; } = meter.CreateCounter<long>("npm_mirror.tarballs.stored", "By", "Bytes of tarballs fetched and stored");

    internal void CountOpened(string source) => _opened.Add(1, Telemetry.Tag("source", source));

    internal void CountFetched(string outcome) => _fetched.Add(1, Telemetry.Tag("outcome", outcome));
}
