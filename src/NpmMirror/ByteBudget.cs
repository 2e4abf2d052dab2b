namespace NpmMirror;

/// <summary>
/// The bytes of raw documents that may be in memory at once, shared by everything that fetches or renders, so that ten documents
/// of 51 MB queue instead of adding up.
/// </summary>
/// <remarks>
/// Whoever needs more than it reserved grows. To exclude two holders that each wait for the other, one holder at a time may grow
/// past the budget: the bound is the budget plus one document.
/// </remarks>
public sealed class ByteBudget(long limitBytes) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly LinkedList<(long Bytes, TaskCompletionSource Granted)> _waiters = new();
    private readonly SemaphoreSlim _overdraft = new(1, 1);
    private long _usedBytes;

    /// <summary>Bytes reserved now.</summary>
    public long UsedBytes
    {
        get
        {
            lock (_lock)
            {
                return _usedBytes;
            }
        }
    }

    /// <summary>How many wait for room.</summary>
    public int WaitingCount
    {
        get
        {
            lock (_lock)
            {
                return _waiters.Count;
            }
        }
    }

    /// <summary>Waits, first come first served, until <paramref name="bytes"/> fit; a document larger than the budget waits until it is alone.</summary>
    public async ValueTask<Lease> ReserveAsync(long bytes, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        LinkedListNode<(long Bytes, TaskCompletionSource Granted)>? place = null;
        lock (_lock)
        {
            if (_waiters.Count == 0 && Fits(bytes))
            {
                _usedBytes += bytes;
            }
            else
            {
                place = _waiters.AddLast((bytes, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)));
            }
        }

        if (place is not null)
        {
            await WaitAsync(place, cancellationToken);
        }

        return new Lease(this, bytes);
    }

    /// <inheritdoc/>
    public void Dispose() => _overdraft.Dispose();

    private bool Fits(long bytes) => _usedBytes == 0 || _usedBytes + bytes <= limitBytes;

    private async Task WaitAsync(LinkedListNode<(long Bytes, TaskCompletionSource Granted)> place, CancellationToken cancellationToken)
    {
        var granted = place.Value.Granted;
        await using var registration = cancellationToken.Register(() =>
        {
            lock (_lock)
            {
                if (granted.TrySetCanceled(cancellationToken))
                {
                    _waiters.Remove(place);
                    GrantWaiters();
                }
            }
        });
        await granted.Task;
    }

    private bool TryTake(long bytes)
    {
        lock (_lock)
        {
            if (_usedBytes + bytes > limitBytes)
            {
                return false;
            }

            _usedBytes += bytes;
            return true;
        }
    }

    private void Take(long bytes)
    {
        lock (_lock)
        {
            _usedBytes += bytes;
        }
    }

    private void Return(long bytes)
    {
        lock (_lock)
        {
            _usedBytes -= bytes;
            GrantWaiters();
        }
    }

    private void GrantWaiters()
    {
        while (_waiters.First is { } first && Fits(first.Value.Bytes))
        {
            _waiters.RemoveFirst();
            if (first.Value.Granted.TrySetResult())
            {
                _usedBytes += first.Value.Bytes;
            }
        }
    }

    /// <summary>Bytes held until disposed. Not safe for concurrent use.</summary>
    public sealed class Lease : IDisposable
    {
        private readonly ByteBudget _budget;
        private bool _hasOverdraft;
        private bool _isPastLimit;
        private bool _isDisposed;

        internal Lease(ByteBudget budget, long bytes)
        {
            _budget = budget;
            Bytes = bytes;
        }

        /// <summary>Bytes held.</summary>
        public long Bytes { get; private set; }

        /// <summary>Holds <paramref name="more"/> bytes in addition.</summary>
        public async ValueTask GrowAsync(long more, CancellationToken cancellationToken)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(more);
            if (_hasOverdraft || _isPastLimit)
            {
                _budget.Take(more);
            }
            else if (!_budget.TryTake(more))
            {
                await _budget._overdraft.WaitAsync(cancellationToken);
                _hasOverdraft = true;
                _budget.Take(more);
            }

            Bytes += more;
        }

        /// <summary>
        /// A second lease for the same piece of work. It never waits behind newcomers, which in turn wait for this one: where it
        /// does not fit it takes the overdraft.
        /// </summary>
        public async ValueTask<Lease> ReserveBesideAsync(long bytes, CancellationToken cancellationToken)
        {
            var beside = new Lease(_budget, 0) { _isPastLimit = _hasOverdraft || _isPastLimit };
            await beside.GrowAsync(bytes, cancellationToken);
            return beside;
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
            _budget.Return(Bytes);
            if (_hasOverdraft)
            {
                _budget._overdraft.Release();
            }
        }
    }
}
