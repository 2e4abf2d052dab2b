using NpmMirror.Following;
using NpmMirror.Hosting;

namespace NpmMirror.Page.State;

/// <summary>Remembers the last failure of following until following goes on.</summary>
internal sealed class FollowingWatch : IDisposable
{
    private readonly Mirror _mirror;
    private volatile FollowingFailure? _failure;

    internal FollowingWatch(Mirror mirror)
    {
        _mirror = mirror;
        mirror.Monitor.Failed += Note;
        mirror.Monitor.Revised += Forget;
        mirror.Monitor.Started += Begun;
    }

    /// <summary>How following goes now.</summary>
    internal FollowingNow Now => new(_mirror.Options.Offline, _mirror.Registry.IsFollowed, _failure);

    /// <inheritdoc/>
    public void Dispose()
    {
        _mirror.Monitor.Failed -= Note;
        _mirror.Monitor.Revised -= Forget;
        _mirror.Monitor.Started -= Begun;
    }

    private void Note(MonitorEvent.Failed failed)
    {
        // A package that fails is in the queue, with its next try.
        if (failed.Package is null)
        {
            _failure = new FollowingFailure(_mirror.Time.GetUtcNow(), failed.Error.Message);
        }
    }

    private void Forget(MonitorEvent.Revised revised) => _failure = null;

    private void Begun(MonitorEvent.Started started) => _failure = null;
}
