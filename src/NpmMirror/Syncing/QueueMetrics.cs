using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;

namespace NpmMirror.Syncing;

/// <summary>What is measured of the queue.</summary>
internal static class QueueMetrics
{
    /// <summary>Items queued, due or not.</summary>
    internal static readonly Gauge<long> Depth = Telemetry.Meter.CreateGauge<long>("npm_mirror.queue.depth", "{package}", "Packages queued, those that wait for a retry included");

    /// <summary>Tries that ended, by how: stored, unchanged, removed, absent, retried, failed, given_up.</summary>
    private static readonly Counter<long> Attempts = Telemetry.Meter.CreateCounter<long>("npm_mirror.sync.attempts", "{attempt}", "Tries of packages that ended, by outcome");

    internal static void Count(SyncAttempt attempt) => Attempts.Add(1, new KeyValuePair<string, object?>("outcome", OutcomeOf(attempt)));

    private static string OutcomeOf(SyncAttempt attempt) => attempt switch
    {
        { Error: not null, IsDone: true } => "given_up",
        { Error: not null } => "failed",
        { IsDone: false } => "retried",
        { Result: SyncResult.Stored } => "stored",
        { Result: SyncResult.Removed } => "removed",
        { Result: SyncResult.Absent } => "absent",
        _ => "unchanged",
    };
}
