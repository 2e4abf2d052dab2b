using NpmMirror.Feeds;

namespace NpmMirror.Following;

/// <summary>Handles pages of changes: a monitor without a store fetches and tells, a mirror queues durably, syncs and tells.</summary>
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

    /// <summary>The text kept last by <see cref="KeepTrailAsync"/>; null if there is none.</summary>
    ValueTask<string?> ReadTrailAsync(CancellationToken cancellationToken);

    /// <summary>Keeps the monitor's trail for its next start, if this handler keeps anything.</summary>
    ValueTask KeepTrailAsync(string trail, CancellationToken cancellationToken);
}
