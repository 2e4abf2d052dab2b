using NpmMirror.Upstream;

namespace NpmMirror.Monitoring;

/// <summary>What happens with a page of changes: a bare monitor fetches and tells, a mirror queues durably, syncs and tells.</summary>
public interface IChangeHandler
{
    /// <summary>
    /// Returns when every row was told through <paramref name="tell"/>, or told as an error and parked for a retry that tells later
    /// by the same delegate. Then the monitor says <see cref="MonitorEvent.Revised"/>.
    /// </summary>
    Task HandleAsync(ChangesPage page, Func<MonitorEvent, CancellationToken, ValueTask> tell, CancellationToken cancellationToken);
}
