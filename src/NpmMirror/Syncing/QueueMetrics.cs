using System.Diagnostics.Metrics;
using NpmMirror.Diagnostics;

namespace NpmMirror.Syncing;

/// <summary>The instruments of the queue.</summary>
internal sealed class QueueMetrics(Meter meter)
{
    /// <summary>Items queued, due or not.</summary>
    internal Gauge<long> Depth { get; } = meter.CreateGauge<long>("npm_mirror.queue.depth", "{package}", "Packages queued, those that wait for a retry included");

    /// <summary>Tries that ended, by how: stored, unchanged, removed, absent, retried, failed, given_up.</summary>
    private readonly Counter<long> _attempts = meter.CreateCounter<long>("npm_mirror.sync.attempts", "{attempt}", "Tries of packages that ended, by outcome");

    internal void Count(SyncAttempt attempt) => _attempts.Add(1, Telemetry.Tag("outcome", OutcomeOf(attempt)));

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
