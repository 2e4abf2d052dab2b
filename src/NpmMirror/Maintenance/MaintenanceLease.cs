using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>Held while one process maintains a store, renewed meanwhile; a dead process's lease ends by itself within a minute.</summary>
internal sealed class MaintenanceLease : IAsyncDisposable
{
    private static readonly TimeSpan Duration = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan RenewEvery = TimeSpan.FromSeconds(15);

    private readonly IMetadataStore _store;
    private readonly string _name;
    private readonly TimeProvider _time;
    private readonly string _owner = Guid.NewGuid().ToString("N");
    private readonly CancellationTokenSource _ending = new();
    private readonly CancellationTokenSource _lost;
    private Task _renewing = Task.CompletedTask;

    private MaintenanceLease(IMetadataStore store, string name, TimeProvider time, CancellationToken cancellationToken)
    {
        (_store, _name, _time) = (store, name, time);
        _lost = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
    }

    /// <summary>Cancelled with the caller's token, and when the lease was lost.</summary>
    internal CancellationToken Token => _lost.Token;

    /// <summary>Takes the lease.</summary>
    /// <exception cref="MirrorException">Another process holds it.</exception>
    internal static async Task<MaintenanceLease> TakeAsync(IMetadataStore store, string name, TimeProvider time, CancellationToken cancellationToken) =>
        await TryTakeAsync(store, name, time, cancellationToken)
        ?? throw new MirrorException(MirrorFault.StoreUnavailable, $"Another npm-mirror {name} works on {store.Location}, or one died less than a minute ago; wait for it.", isTransient: true);

    /// <summary>Takes the lease; null while another process holds it.</summary>
    internal static async Task<MaintenanceLease?> TryTakeAsync(IMetadataStore store, string name, TimeProvider time, CancellationToken cancellationToken)
    {
        var lease = new MaintenanceLease(store, name, time, cancellationToken);
        if (await store.Leases.TryHoldLeaseAsync(name, lease._owner, Duration, cancellationToken))
        {
            lease._renewing = lease.RenewAsync();
            return lease;
        }

        await lease.DisposeAsync();
        return null;
    }

    /// <summary>Whether another process has taken it.</summary>
    internal bool IsLost { get; private set; }

    /// <summary>The failure of work that stopped because its lease was lost.</summary>
    internal MirrorException Lost() =>
        new(MirrorFault.StoreUnavailable, $"Another npm-mirror {_name} has taken over the work on {_store.Location}, perhaps because this machine slept; this one stopped.", isTransient: true);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _renewing;
        try
        {
            await _store.Leases.ReleaseLeaseAsync(_name, _owner, CancellationToken.None);
        }
        catch (MirrorException)
        {
            // It ends by itself.
        }

        _lost.Dispose();
        _ending.Dispose();
    }

    private async Task RenewAsync()
    {
        while (!_ending.IsCancellationRequested)
        {
            await Task.Delay(RenewEvery, _time, _ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (_ending.IsCancellationRequested)
            {
                return;
            }

            try
            {
                if (!await _store.Leases.TryHoldLeaseAsync(_name, _owner, Duration, CancellationToken.None))
                {
                    IsLost = true;
                    await _lost.CancelAsync();
                    return;
                }
            }
            catch (MirrorException)
            {
                // The store is in trouble; the work under this lease meets and tells that too.
            }
        }
    }
}
