using NpmMirror.Feeds;

namespace NpmMirror.Following;

/// <summary>What happens with a page of changes: a bare monitor fetches and tells, a mirror queues durably, syncs and tells.</summary>
internal interface IChangeHandler
{
    /// <summary>
    /// Returns when every row was told through <paramref name="tell"/>, or told as an error and parked for a retry that tells later
    /// by the same delegate. Then the monitor says <see cref="MonitorEvent.Revised"/>.
    /// </summary>
    Task HandleAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken);

    /// <summary>
    /// Handles rows before the cursor that were not handled yet, as far as the monitor remembers; the cursor stays where it is.
    /// Returns when each was told or parked, and which of them brought something that was not known.
    /// </summary>
    Task<IReadOnlyList<ChangeRow>> HandleAgainAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken);

    /// <summary>What was kept last by <see cref="KeepTrailAsync"/>; null when nothing was.</summary>
    ValueTask<string?> ReadTrailAsync(CancellationToken cancellationToken);

    /// <summary>Keeps what the monitor knows of its way for its next start, as far as this handler keeps anything.</summary>
    ValueTask KeepTrailAsync(string trail, CancellationToken cancellationToken);
}
