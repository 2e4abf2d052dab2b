namespace NpmMirror.Syncing;

/// <summary>The listeners to the ends of tries of queued packages, in the order of their subscription.</summary>
internal sealed class AttemptListeners
{
    private readonly Lock _lock = new();
    private IReadOnlyList<Func<SyncAttempt, CancellationToken, ValueTask>> _listeners = [];

    internal IDisposable Add(Func<SyncAttempt, CancellationToken, ValueTask> listener)
    {
        lock (_lock)
        {
            _listeners = [.. _listeners, listener];
        }

        return new Subscription(this, listener);
    }

    internal async ValueTask TellAsync(SyncAttempt attempt, CancellationToken cancellationToken)
    {
        foreach (var listener in _listeners)
        {
            await listener(attempt, cancellationToken);
        }
    }

    private sealed class Subscription(AttemptListeners all, Func<SyncAttempt, CancellationToken, ValueTask> listener) : IDisposable
    {
        public void Dispose()
        {
            lock (all._lock)
            {
                all._listeners = [.. all._listeners.Where(one => one != listener)];
            }
        }
    }
}
