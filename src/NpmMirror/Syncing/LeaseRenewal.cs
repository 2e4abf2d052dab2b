using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>Renews the lease of a queued package while it is worked on, until disposed of.</summary>
internal sealed class LeaseRenewal : IAsyncDisposable
{
    /// <summary>Items of a dead process come back after it.</summary>
    internal static readonly TimeSpan LeaseDuration = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Period = LeaseDuration / 3;

    private readonly IQueueTable _queue;
    private readonly QueueLease _lease;
    private readonly ITimer _timer;
    private Task _renewing = Task.CompletedTask;

    /// <summary>Begins; most packages are done before the first renewal, so nothing runs for them but a timer.</summary>
    internal LeaseRenewal(IQueueTable queue, QueueLease lease, TimeProvider time)
    {
        _queue = queue;
        _lease = lease;
        _timer = time.CreateTimer(static renewal => ((LeaseRenewal)renewal!).Renew(), this, Period, Period);
    }

    /// <summary>Ends; a renewal that has begun is waited for.</summary>
    public async ValueTask DisposeAsync()
    {
        await _timer.DisposeAsync();
        await _renewing;
    }

    private void Renew()
    {
        if (_renewing.IsCompleted)
        {
            _renewing = RenewAsync();
        }
    }

    private async Task RenewAsync()
    {
        try
        {
            if (!await _queue.RenewAsync(_lease, LeaseDuration, CancellationToken.None))
            {
                // Another process has the item.
                _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }
        catch (MirrorException)
        {
            // The store is in trouble: the lease may run out, and the generation still guards the row.
        }
    }
}
