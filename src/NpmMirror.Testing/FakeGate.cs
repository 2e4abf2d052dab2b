namespace NpmMirror.Testing;

/// <summary>Holds answers back until it is opened, and tells how many wait: so a test can know that requests really met.</summary>
public sealed class FakeGate : IDisposable
{
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<(int Count, TaskCompletionSource Reached)> _watchers = [];
    private int _waiting;

    /// <summary>How many requests wait at the gate, or passed it.</summary>
    public int WaitingCount
    {
        get
        {
            lock (_lock)
            {
                return _waiting;
            }
        }
    }

    /// <summary>Lets all pass, those to come too.</summary>
    public void Open() => _opened.TrySetResult();

    /// <summary>Waits until so many requests have reached the gate.</summary>
    public Task WaitForAsync(int count, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_waiting >= count)
            {
                return Task.CompletedTask;
            }

            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _watchers.Add((count, reached));
            return reached.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Opens the gate.</summary>
    public void Dispose() => Open();

    internal Task PassAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _waiting++;
            foreach (var (_, reached) in _watchers.Where(watcher => watcher.Count <= _waiting))
            {
                reached.TrySetResult();
            }
        }

        return _opened.Task.WaitAsync(cancellationToken);
    }
}
